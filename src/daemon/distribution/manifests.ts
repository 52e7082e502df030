/** Manifests by tag and digest: exact bytes in, exact bytes out. distribution-spec "Pulling/Pushing/Deleting Manifests". */
import { digestAlgorithm, digestOf, isDigest, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../../oci/manifest.ts";
import { isTag } from "../../oci/reference.ts";
import { allowMethods, answer, readBody, type Exchange, type Headers } from "./exchange.ts";
import type { HostedContent } from "./hosted-content.ts";
import { entryOf, readPushed, type PushedDocument } from "./pushed-document.ts";
import { RegistryError } from "./registry-error.ts";
import { takeBlobs } from "./take-blobs.ts";
import type { ServedManifest } from "./types.ts";
import { writing } from "./writing.ts";

/** As many tags as a push by digest can bring. */
const MAX_TAGS = 100;

export async function handleManifest(exchange: Exchange, name: string, reference: Digest | string): Promise<void> {
  allowMethods(exchange, "GET", "HEAD", "PUT", "DELETE");
  switch (exchange.method) {
    case "PUT":
      return putManifest(exchange, name, reference);
    case "DELETE":
      return deleteManifest(exchange, name, reference);
    case "HEAD":
      return headManifest(exchange, name, reference);
    default:
      return getManifest(exchange, name, reference);
  }
}

async function headManifest(exchange: Exchange, name: string, reference: string): Promise<void> {
  const { source } = exchange.options;
  if (source.resolve === undefined) return getManifest(exchange, name, reference);
  const found = await source.resolve(name, reference, exchange.asked);
  if (found === undefined) throw unknown(name, reference);
  answerManifest(exchange, found, found.size);
}

async function getManifest(exchange: Exchange, name: string, reference: string): Promise<void> {
  const found = await exchange.options.source.manifest(name, reference, exchange.asked);
  if (found === undefined) throw unknown(name, reference);
  answerManifest(exchange, found, found.bytes.length, found.bytes);
}

function answerManifest(
  exchange: Exchange,
  { digest, mediaType, warning }: Omit<ServedManifest, "bytes">,
  size: number,
  bytes?: Uint8Array,
): void {
  const etag = `"${digest}"`;
  const headers: Headers = {
    "content-type": mediaType,
    "docker-content-digest": digest,
    etag,
    ...(warning !== undefined && { warning: `299 - ${quoted(warning)}` }),
  };
  if (exchange.request.headers["if-none-match"]?.includes(etag) === true) return answer(exchange, 304, headers);
  answer(exchange, 200, { ...headers, "content-length": size }, bytes);
}

/** As RFC 9110 §5.6.4 has it, of characters that a header can have. */
function quoted(text: string): string {
  return `"${text.replaceAll(/[^\x20-\x7e]/g, " ").replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

async function putManifest(exchange: Exchange, name: string, reference: Digest | string): Promise<void> {
  const { request, options, query } = exchange;
  const { repositories } = await writing(exchange, "push", name);
  const limit = options.limits?.manifestBytes ?? MAX_DOCUMENT_BYTES;
  const bytes = await readBody(request, limit, "MANIFEST_INVALID");
  const document = readPushed(bytes, request.headers["content-type"]);
  const digest = digestOf(bytes, isDigest(reference) ? digestAlgorithm(reference) : "sha256");
  if (isDigest(reference) && reference !== digest) {
    throw new RegistryError(400, "DIGEST_INVALID", `the bytes have digest ${digest}, not ${reference}`);
  }
  const tags = isDigest(reference) ? tagsIn(query) : [reference];
  await checkReferences(exchange, repositories, name, document);
  const { subject } = document;
  const put = await repositories.putManifest(name, {
    manifest: { digest, mediaType: document.mediaType, bytes },
    tags,
    ...(subject !== undefined && { referrer: { subject, descriptor: entryOf(document, digest, bytes.length) } }),
    ...conditionOf(request.headers["if-match"], reference),
  });
  if (!put) throw new RegistryError(412, "MANIFEST_INVALID", `${reference} is not what it was`);
  answer(exchange, 201, {
    location: `/v2/${name}/manifests/${digest}`,
    "docker-content-digest": digest,
    ...(isDigest(reference) && tags.length > 0 && { "oci-tag": tags }),
    ...(subject !== undefined && { "oci-subject": subject }),
  });
}

function tagsIn(query: URLSearchParams): string[] {
  const tags = [...new Set(query.getAll("tag"))];
  const bad = tags.find((tag) => !isTag(tag));
  if (bad !== undefined) throw new RegistryError(400, "MANIFEST_INVALID", `not a tag: ${bad.slice(0, 160)}`);
  if (tags.length <= MAX_TAGS) return tags;
  throw new RegistryError(400, "MANIFEST_INVALID", `more than ${MAX_TAGS} tags at once`);
}

/** RFC 9110 §13.1.1: for those who replace what they have read, as clients do with the index of referrers. */
function conditionOf(
  header: string | undefined,
  reference: string,
): Pick<Parameters<HostedContent["putManifest"]>[1], "when"> {
  if (header === undefined) return {};
  const is = (now: Digest | undefined): boolean =>
    now !== undefined && (header.trim() === "*" || header.split(",").some((etag) => etag.trim() === `"${now}"`));
  return { when: { reference, is } };
}

/** Children before parents: all but a subject and what is fetched from elsewhere must be there. */
async function checkReferences(
  exchange: Exchange,
  repositories: HostedContent,
  name: string,
  { blobs, manifests }: PushedDocument,
): Promise<void> {
  const missing = (what: string, digest: string): RegistryError =>
    new RegistryError(404, "MANIFEST_BLOB_UNKNOWN", `${name} has no ${what} ${digest.slice(0, 160)}`);
  const lacking = new Set<Digest>();
  for (const { digest, isForeign } of blobs) {
    if (isForeign) continue;
    if (!isDigest(digest)) throw missing("blob", digest);
    if (!lacking.has(digest) && (await repositories.hasBlob(name, digest)) === undefined) lacking.add(digest);
  }
  const [nowhere] = lacking.size === 0 ? [] : await takeBlobs(exchange, repositories, name, [...lacking]);
  if (nowhere !== undefined) throw missing("blob", nowhere);
  if (exchange.options.sparseIndexes !== false) return;
  for (const { digest } of manifests) {
    if (!isDigest(digest) || !(await repositories.hasManifest(name, digest))) throw missing("manifest", digest);
  }
}

async function deleteManifest(exchange: Exchange, name: string, reference: Digest | string): Promise<void> {
  const { repositories } = await writing(exchange, "delete", name);
  const existed = isDigest(reference)
    ? await repositories.deleteManifest(name, reference)
    : await repositories.deleteTag(name, reference);
  if (!existed) throw unknown(name, reference);
  answer(exchange, 202);
}

function unknown(name: string, reference: string): RegistryError {
  return new RegistryError(404, "MANIFEST_UNKNOWN", `${name} has no manifest ${reference}`);
}
