/** Manifests by tag and digest: exact bytes in, exact bytes out. distribution-spec "Pulling/Pushing/Deleting Manifests". */
import { digestAlgorithm, digestOf, isDigest, type Digest } from "../../../src/oci/digest.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import type { RegistryDisk } from "./disk.ts";
import { allowMethods, answer, readBody, type Exchange, type Headers } from "./exchange.ts";
import { RegistryError } from "./registry-error.ts";

export async function handleManifest(exchange: Exchange, name: string, reference: Digest | string): Promise<void> {
  allowMethods(exchange, "GET", "HEAD", "PUT", "DELETE");
  switch (exchange.method) {
    case "PUT":
      return putManifest(exchange, name, reference);
    case "DELETE":
      return deleteManifest(exchange, name, reference);
    default:
      return getManifest(exchange, name, reference);
  }
}

async function getManifest(exchange: Exchange, name: string, reference: string): Promise<void> {
  const { disk, quirks, request } = exchange;
  if (exchange.method === "HEAD" && quirks.manifestHead !== undefined) return answer(exchange, quirks.manifestHead);
  const manifest = await disk.manifest(name, reference);
  if (manifest === undefined) throw new RegistryError(404, "MANIFEST_UNKNOWN", `${name} has no manifest ${reference}`);
  const { bytes, digest, mediaType } = manifest;
  const headers: Headers = {
    "content-type": quirks.contentTypeParameters === true ? `${mediaType}; charset=utf-8` : mediaType,
    ...(quirks.digestHeader !== false && { "docker-content-digest": digest }),
    ...(quirks.etag === true && { etag: `"${digest}"` }),
  };
  if (quirks.etag === true && request.headers["if-none-match"] === `"${digest}"`) return answer(exchange, 304, headers);
  answer(exchange, 200, { ...headers, "content-length": bytes.length }, bytes);
}

/** A condition and the write under it are one step to everybody else. */
const writing = new WeakMap<RegistryDisk, Promise<void>>();

async function putManifest(exchange: Exchange, name: string, reference: Digest | string): Promise<void> {
  const bytes = await readBody(exchange.request, exchange.quirks.manifestLimit ?? 4 * 1024 * 1024, "MANIFEST_INVALID");
  const before = writing.get(exchange.disk) ?? Promise.resolve();
  const mine = before.then(() => storeManifest(exchange, name, reference, bytes));
  writing.set(
    exchange.disk,
    mine.catch(() => undefined),
  );
  return mine;
}

async function storeManifest(
  exchange: Exchange,
  name: string,
  reference: Digest | string,
  bytes: Buffer,
): Promise<void> {
  const { disk, query, quirks, request } = exchange;
  if (quirks.push === false) throw new RegistryError(405, "UNSUPPORTED", "this registry is read-only");
  const condition = quirks.etag === true ? request.headers["if-match"] : undefined;
  const document = quirks.credulous === true ? parseLoosely(bytes) : parseDocument(bytes);
  const mediaType = request.headers["content-type"] ?? document.mediaType ?? "application/octet-stream";
  const algorithm = isDigest(reference) ? digestAlgorithm(reference) : "sha256";
  const actual = digestOf(bytes, algorithm);
  if (quirks.credulous !== true) {
    if (isDigest(reference) && reference !== actual) {
      throw new RegistryError(400, "DIGEST_INVALID", `the bytes have digest ${actual}, not ${reference}`);
    }
    if (document.mediaType !== undefined && document.mediaType !== mediaType) {
      throw new RegistryError(400, "MANIFEST_INVALID", `Content-Type ${mediaType}, mediaType ${document.mediaType}`);
    }
    if (quirks.subjects === false && document.subject !== undefined) {
      throw new RegistryError(400, "MANIFEST_INVALID", "subject is no field of a manifest");
    }
    await checkReferences(exchange, name, document);
  }
  if (condition !== undefined && condition !== `"${(await disk.manifest(name, reference))?.digest}"`) {
    throw new RegistryError(412, "MANIFEST_INVALID", `${reference} is not what it was`);
  }
  const digest = isDigest(reference) ? reference : actual;
  const tags = isDigest(reference) ? query.getAll("tag") : [reference];
  await disk.putManifest(name, { digest, mediaType, bytes }, tags);
  const headers: Headers = { location: `/v2/${name}/manifests/${digest}` };
  if (quirks.digestHeader !== false) headers["docker-content-digest"] = digest;
  if (isDigest(reference) && tags.length > 0) headers["oci-tag"] = tags;
  if (isDigest(document.subject?.digest)) {
    await disk.addReferrer(
      name,
      document.subject.digest,
      describe(document, { digest, mediaType, size: bytes.length }),
    );
    if (quirks.referrers !== false) headers["oci-subject"] = document.subject.digest;
  }
  answer(exchange, 201, headers);
}

async function deleteManifest(exchange: Exchange, name: string, reference: Digest | string): Promise<void> {
  const { disk, quirks } = exchange;
  if (quirks.delete === false) throw new RegistryError(405, "UNSUPPORTED", "deletion is disabled");
  const existed = isDigest(reference)
    ? await disk.deleteManifest(name, reference)
    : await disk.deleteTag(name, reference);
  if (!existed) throw new RegistryError(404, "MANIFEST_UNKNOWN", `${name} has no manifest ${reference}`);
  answer(exchange, 202);
}

interface ManifestDocument {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

function parseDocument(bytes: Buffer): ManifestDocument {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    throw new RegistryError(400, "MANIFEST_INVALID", `not JSON: ${(error as Error).message}`);
  }
  throw new RegistryError(400, "MANIFEST_INVALID", "not an object");
}

function parseLoosely(bytes: Buffer): ManifestDocument {
  try {
    return parseDocument(bytes);
  } catch {
    return {};
  }
}

/** Children before parents: all but a subject and layers with `urls` must be there. */
async function checkReferences({ disk }: Exchange, name: string, document: ManifestDocument): Promise<void> {
  const blobs = [...(document.config === undefined ? [] : [document.config]), ...(document.layers ?? [])];
  for (const { digest, urls } of blobs) {
    const there = isDigest(digest) && (await disk.statBlob(name, digest)) !== undefined;
    if (!there && urls === undefined) throw new RegistryError(404, "MANIFEST_BLOB_UNKNOWN", `no blob ${digest}`);
  }
  for (const { digest } of document.manifests ?? []) {
    const there = isDigest(digest) && (await disk.manifest(name, digest)) !== undefined;
    if (!there) throw new RegistryError(404, "MANIFEST_BLOB_UNKNOWN", `no manifest ${digest}`);
  }
}

/** The referrers API's entry: artifactType falls back to the config's media type, except for an index. */
function describe(document: ManifestDocument, manifest: Descriptor): Descriptor {
  const artifactType = document.artifactType ?? document.config?.mediaType;
  return {
    ...manifest,
    ...(artifactType !== undefined && { artifactType }),
    ...(document.annotations !== undefined && { annotations: document.annotations }),
  };
}
