/** Whether a repository has a blob (distribution-spec "Checking if content exists in the registry"). */
import type { Caller } from "../attempts.ts";
import type { Ask } from "../session.ts";
import type { UploadContext } from "./upload.ts";

/** Of those who do not say it, or not to us, nothing is believed: then the blob is sent. */
const UNKNOWN = new Set([400, 403, 404, 405, 410, 501]);

export async function hasBlob({ session, endpoint, blob, subject }: UploadContext, caller: Caller): Promise<boolean> {
  const ask: Ask = { method: "HEAD", path: `/blobs/${blob.digest}`, push: true, subject, ...caller };
  const answer = await session.send(endpoint, ask);
  if (answer.status >= 200 && answer.status < 300) return true;
  if (UNKNOWN.has(answer.status)) return false;
  throw await session.refusal(answer, ask, "BLOB_UNKNOWN");
}
