/** Puts a manifest or an index under a tag or its digest (distribution-spec "Pushing Manifests"). */
import { VarveError } from "../../errors/varve-error.ts";
import { digestAlgorithm, isDigest, type Digest } from "../../oci/digest.ts";
import type { Document } from "../../oci/manifest.ts";
import type { Caller } from "../attempts.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Headers } from "../transport/transport.ts";
import type { Ask, Session } from "../session.ts";
import { readErrorBody } from "../transport/body.ts";
import { RegistryFailure } from "../transport/failure.ts";
import { header } from "../transport/transport.ts";
import { nextLocation } from "./location.ts";

export interface PutDocumentAsk {
  readonly document: Document;
  readonly tagOrDigest: string;
  /** Conditions. */
  readonly headers?: Headers;
  readonly subject: string;
}

export interface PutDocumentAnswer {
  /** False when a condition did not hold. */
  readonly isPut: boolean;
  readonly location?: URL;
  /** The registry lists it as a referrer of this. */
  readonly ociSubject?: Digest;
}

export async function putDocument(
  session: Session,
  endpoint: Endpoint,
  { document, tagOrDigest, headers, subject }: PutDocumentAsk,
  caller: Caller,
): Promise<PutDocumentAnswer> {
  const { bytes, mediaType, digest } = document;
  const ask: Ask = {
    method: "PUT",
    path: `/manifests/${tagOrDigest}`,
    push: true,
    headers: { "content-type": mediaType, ...headers },
    body: bytes,
    subject,
    ...caller,
  };
  const answer = await session.send(endpoint, ask);
  const { host } = answer.url;
  if (headers !== undefined && answer.status === 412) {
    await readErrorBody(answer.body);
    return { isPut: false };
  }
  if (answer.status === 413) {
    await readErrorBody(answer.body);
    throw new RegistryFailure("MANIFEST_TOO_LARGE", `${subject}: ${host} does not take ${bytes.length} bytes`, {
      detail: { host, status: 413 },
    });
  }
  if (answer.status < 200 || answer.status > 299) {
    const refusal = await session.refusal(answer, ask, "BLOB_UNKNOWN");
    // docker-registry says it with 400.
    if (refusal.code !== "BLOB_UNKNOWN" && !refusal.message.includes("MANIFEST_BLOB_UNKNOWN")) throw refusal;
    const hint = "the registry misses the repository or a part of the image; push it again";
    throw new RegistryFailure("BLOB_UNKNOWN", refusal.message, { hint, cause: refusal, detail: refusal.detail });
  }
  await readErrorBody(answer.body);
  const stated = header(answer.headers, "docker-content-digest");
  if (isDigest(stated) && digestAlgorithm(stated) === digestAlgorithm(digest) && stated !== digest) {
    throw new VarveError("DIGEST_MISMATCH", `${subject}: ${host} made ${stated} of it`, {
      detail: { host, expected: digest, actual: stated },
    });
  }
  const location = nextLocation(answer, subject);
  const ociSubject = header(answer.headers, "oci-subject");
  return {
    isPut: true,
    ...(location !== undefined && { location }),
    ...(isDigest(ociSubject) && { ociSubject }),
  };
}
