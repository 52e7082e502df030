/** Whether a repository has a blob, and of what size (distribution-spec "Checking if content exists in the registry"). */
import { isVarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { Caller } from "./attempts.ts";
import { parseContentRange } from "./content-range.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Ask, Session, SessionAnswer } from "./session.ts";
import { abandon, discard } from "./transport/body.ts";
import { RegistryFailure } from "./transport/failure.ts";
import { contentLength, header } from "./transport/transport.ts";

/** @throws RegistryFailure `BLOB_UNKNOWN` when it has none, and what else the registry says */
export async function statBlob(
  session: Session,
  endpoint: Endpoint,
  digest: Digest,
  caller: Caller,
): Promise<number | undefined> {
  const common = { path: `/blobs/${digest}`, subject: `blob ${digest}`, ...caller };
  const head: Ask = { ...common, method: "HEAD", headers: { "accept-encoding": "identity" } };
  const answer = await session.send(endpoint, head);
  const size = sizeOf(answer);
  if (size !== undefined) return size;
  // A refusal of HEAD has no body to tell why, and some know no HEAD of blobs or give no length: one byte tells.
  if (![200, 400, 403, 405, 501].includes(answer.status)) throw await session.refusal(answer, head, "BLOB_UNKNOWN");
  const get: Ask = {
    ...common,
    method: "GET",
    bulk: true,
    headers: { "accept-encoding": "identity", range: "bytes=0-0" },
  };
  return await sizeByRange(session, await session.send(endpoint, get), get);
}

function sizeOf({ status, headers }: SessionAnswer): number | undefined {
  if (status !== 200 || header(headers, "content-encoding") !== undefined) return undefined;
  return contentLength(headers);
}

async function sizeByRange(session: Session, answer: SessionAnswer, ask: Ask): Promise<number> {
  const range = parseContentRange(header(answer.headers, "content-range"));
  const size = answer.status === 206 || answer.status === 416 ? range?.size : sizeOf(answer);
  if (size !== undefined) {
    if (answer.status === 200) abandon(answer.body);
    else await discard(answer.body, contentLength(answer.headers));
    return size;
  }
  if (answer.status !== 200 && answer.status !== 206) throw await session.refusal(answer, ask, "BLOB_UNKNOWN");
  abandon(answer.body);
  const { host } = answer.url;
  throw new RegistryFailure("REGISTRY_PROTOCOL", `${ask.subject}: ${host} does not say how large it is`, {
    detail: { host },
  });
}

/** Who has none says so; that is an answer. */
export function absent(error: unknown): undefined {
  if (!isVarveError(error, "BLOB_UNKNOWN") && !isVarveError(error, "REPOSITORY_UNKNOWN")) throw error;
}
