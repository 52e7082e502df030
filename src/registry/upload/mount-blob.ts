/** Has a registry take a blob over from another of its repositories (distribution-spec "Mounting a blob from another repository"). */
import { isVarveError } from "../../errors/varve-error.ts";
import { pullScope } from "../auth/scope.ts";
import type { Caller } from "../attempts.ts";
import { readErrorBody } from "../transport/body.ts";
import { postUpload, Upload, type UploadContext } from "./upload.ts";

/** @returns true, or the upload that the registry began instead, or undefined when it wants neither */
export async function mountBlob(
  context: UploadContext,
  from: string | undefined,
  caller: Caller,
): Promise<true | Upload | undefined> {
  const { digest } = context.blob;
  const query = `mount=${encodeURIComponent(digest)}${from === undefined ? "" : `&from=${encodeURIComponent(from)}`}`;
  try {
    const { ask, answer } = await postUpload(context, query, caller, from === undefined ? [] : [pullScope(from)]);
    if (answer.status === 202) return await Upload.begun(context, answer);
    const { status } = answer;
    if (status >= 400 && (status === 408 || status === 429 || status >= 500)) {
      throw await context.session.refusal(answer, ask, "REPOSITORY_UNKNOWN");
    }
    await readErrorBody(answer.body);
    return status === 201 ? true : undefined;
  } catch (error) {
    // That the other repository may not be read is no reason not to push to this one.
    if (isVarveError(error, "UNAUTHORIZED") || isVarveError(error, "DENIED")) return undefined;
    throw error;
  }
}
