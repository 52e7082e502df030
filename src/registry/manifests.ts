/** What a tag means, and the documents behind it, checked (distribution-spec "Pulling manifests"). */
import { VarveError } from "../errors/varve-error.ts";
import { digestAlgorithm, digestOf, isDigest, type Digest } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Index, type Manifest } from "../oci/manifest.ts";
import { ACCEPT_MANIFESTS, stripParameters } from "../oci/media-types.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { Caller } from "./attempts.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Ask, Session, SessionAnswer } from "./session.ts";
import { abandon, readBounded } from "./transport/body.ts";
import { RegistryFailure } from "./transport/failure.ts";
import { networkFailure } from "./transport/network-failure.ts";
import { contentLength, header } from "./transport/transport.ts";

export interface Resolved {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
}

export interface ManifestAsk {
  /** A tag or a digest. */
  readonly target: string;
  readonly digest?: Digest | undefined;
  readonly size?: number | undefined;
  readonly mediaType?: string | undefined;
  /** As in {@link Ask}: whoever asks is going to write. */
  readonly push?: boolean;
  /** For messages: `manifest docker.io/library/debian:12`. */
  readonly subject: string;
}

export interface FetchOptions extends Caller {
  /** Overrides the reference's own. */
  readonly digest?: Digest;
  readonly size?: number;
  readonly mediaType?: string;
}

export function manifestAsk(reference: Reference, options: FetchOptions): ManifestAsk {
  const digest = options.digest ?? reference.digest;
  const { size, mediaType } = options;
  const named =
    options.digest === undefined ? reference : { host: reference.host, name: reference.name, digest: options.digest };
  const target = digest ?? reference.tag ?? "latest";
  return { target, digest, size, mediaType, subject: `manifest ${formatReference(named)}` };
}

/** HEAD, which Docker Hub does not count against its limit; GET when its answer does not say all. */
export async function resolveManifest(
  session: Session,
  endpoint: Endpoint,
  ask: ManifestAsk,
  caller: Caller,
): Promise<Resolved> {
  const head = await session.send(endpoint, request("HEAD", ask, caller));
  const resolved = head.status === 200 ? fromHead(head, ask) : undefined;
  if (resolved !== undefined) return resolved;
  // A refusal of HEAD has no body to tell why, and some registries do not know HEAD at all: GET tells.
  if (![200, 400, 403, 405, 501].includes(head.status)) {
    throw await session.refusal(head, request("HEAD", ask, caller), "MANIFEST_UNKNOWN");
  }
  const { digest, mediaType, bytes } = await fetchManifest(session, endpoint, ask, caller);
  return { digest, mediaType, size: bytes.length };
}

/** @throws VarveError `MANIFEST_UNKNOWN`, `MANIFEST_INVALID`, `MANIFEST_TOO_LARGE`, `DIGEST_MISMATCH`, `SIZE_MISMATCH` */
export async function fetchManifest(
  session: Session,
  endpoint: Endpoint,
  ask: ManifestAsk,
  caller: Caller,
): Promise<Manifest | Index> {
  const get = request("GET", ask, caller);
  const answer = await session.send(endpoint, get);
  if (answer.status !== 200) throw await session.refusal(answer, get, "MANIFEST_UNKNOWN");
  const bytes = await readDocument(answer, ask.subject, caller);
  const stated = header(answer.headers, "docker-content-digest");
  const { digest } = ask;
  if (digest === undefined && stated !== undefined && isDigest(stated))
    checkStated(bytes, stated, answer.url.host, ask);
  const contentType = header(answer.headers, "content-type") ?? ask.mediaType;
  return parseManifest(bytes, {
    ...(contentType === undefined ? {} : { contentType }),
    expected: {
      ...(digest === undefined ? {} : { digest }),
      ...(ask.size === undefined ? {} : { size: ask.size }),
    },
  });
}

/** The whole of a small body. @throws VarveError `MANIFEST_TOO_LARGE`, and retryable failures of the network */
export async function readDocument(
  answer: SessionAnswer,
  subject: string,
  caller: Caller,
  limit = MAX_DOCUMENT_BYTES,
): Promise<Uint8Array> {
  const { host } = answer.url;
  const announced = contentLength(answer.headers) ?? 0;
  if (announced > limit) {
    abandon(answer.body);
    throw tooLarge(subject, host, limit);
  }
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readBounded(answer.body, limit, (count) => caller.onEvent?.({ type: "received", bytes: count }));
  } catch (error) {
    throw networkFailure(error, host, subject, caller.signal);
  }
  if (bytes === undefined) throw tooLarge(subject, host, limit);
  return bytes;
}

function request(method: "HEAD" | "GET", ask: ManifestAsk, caller: Caller): Ask {
  const own = ask.mediaType;
  const accept = own === undefined || ACCEPT_MANIFESTS.includes(own) ? ACCEPT_MANIFESTS : `${own}, ${ACCEPT_MANIFESTS}`;
  return {
    method,
    path: `/manifests/${ask.target}`,
    push: ask.push ?? false,
    headers: { accept, "accept-encoding": "identity" },
    subject: ask.subject,
    ...caller,
  };
}

/** Undefined when something is missing, or is not what was asked for: then the bytes themselves have to say. */
function fromHead(head: SessionAnswer, ask: ManifestAsk): Resolved | undefined {
  const digest = header(head.headers, "docker-content-digest");
  const size = contentLength(head.headers);
  const mediaType = stripParameters(header(head.headers, "content-type") ?? "");
  if (!isDigest(digest) || size === undefined || size === 0 || mediaType === "") return undefined;
  // A gateway's compression makes the length one of something else.
  if (header(head.headers, "content-encoding") !== undefined) return undefined;
  if (ask.digest !== undefined && ask.digest !== digest) return undefined;
  if (size > MAX_DOCUMENT_BYTES) throw tooLarge(ask.subject, head.url.host, MAX_DOCUMENT_BYTES);
  return { digest, mediaType, size };
}

function checkStated(bytes: Uint8Array, stated: Digest, host: string, ask: ManifestAsk): void {
  const actual = digestOf(bytes, digestAlgorithm(stated));
  if (actual === stated) return;
  throw new VarveError("DIGEST_MISMATCH", `${ask.subject}: ${host} says ${stated} but sent ${actual}`, {
    detail: { host, expected: stated, actual },
  });
}

function tooLarge(subject: string, host: string, limit: number): RegistryFailure {
  return new RegistryFailure("MANIFEST_TOO_LARGE", `${subject}: ${host} has more than ${limit} bytes`, {
    detail: { host, limit },
  });
}
