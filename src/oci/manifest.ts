/**
 * Image manifests and indexes, OCI image-spec "manifest.md" and "image-index.md", and Docker schema 2. The bytes are
 * kept as received, because they are what the digest covers; what is read out of them is checked as an attacker's.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "./descriptor.ts";
import { digestAlgorithm, digestOf, type Digest } from "./digest.ts";
import { Fields } from "./fields.ts";
import { isIndexType, isManifestType, isSchema1Type, MEDIA_TYPES, stripParameters } from "./media-types.ts";
import { parseDescriptor } from "./parse-descriptor.ts";
import { parseJson } from "./strict-json.ts";

/** Of a manifest, index or config; what registries must accept and clients agree on. */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

export interface Document {
  /** Exactly as received; nobody changes them. */
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly mediaType: string;
}

export interface Manifest extends Document {
  readonly kind: "manifest";
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
}

export interface Index extends Document {
  readonly kind: "index";
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
}

export interface ParseManifestOptions {
  /** The `Content-Type` header or the descriptor's media type; parameters are ignored. */
  readonly contentType?: string;
  /** What was asked for. The digest is computed with its algorithm; without one it is sha256. */
  readonly expected?: { readonly digest?: Digest; readonly size?: number };
}

/**
 * Checks and reads a manifest or an index.
 *
 * @throws VarveError `MANIFEST_TOO_LARGE`, `SIZE_MISMATCH`, `DIGEST_MISMATCH`, `MANIFEST_UNSUPPORTED` (Docker schema 1 and
 * kinds that are no manifest), `MANIFEST_INVALID`
 */
export function parseManifest(bytes: Uint8Array, options: ParseManifestOptions = {}): Manifest | Index {
  const digest = checkDocument(bytes, "manifest", options.expected);
  const what = `manifest ${digest}`;
  const stated = options.contentType === undefined ? undefined : stripParameters(options.contentType);
  if (stated !== undefined && isSchema1Type(stated)) throw schema1(what);

  const fields = Fields.of(parseJson(bytes, what), what, "MANIFEST_INVALID");
  refuseLookalikes(fields);
  const mediaType = documentType(fields, stated, what);
  const subject = fields.optionalObject("subject");
  const annotations = fields.optionalStringMap("annotations");
  const artifactType = fields.optionalString("artifactType");
  const common = {
    bytes,
    digest,
    mediaType,
    ...(subject !== undefined && { subject: parseDescriptor(subject) }),
    ...(annotations !== undefined && { annotations }),
    ...(artifactType !== undefined && artifactType !== "" && { artifactType }),
  };
  if (isIndexType(mediaType)) {
    return { kind: "index", ...common, manifests: fields.objects("manifests").map(parseDescriptor) };
  }
  return {
    kind: "manifest",
    ...common,
    config: parseDescriptor(fields.object("config")),
    layers: fields.objects("layers").map(parseDescriptor),
  };
}

/**
 * Size and digest of a document that is in memory.
 *
 * @returns its digest
 * @throws VarveError `MANIFEST_TOO_LARGE`, `SIZE_MISMATCH`, `DIGEST_MISMATCH`
 */
export function checkDocument(
  bytes: Uint8Array,
  what: string,
  expected: ParseManifestOptions["expected"] = {},
): Digest {
  const named = expected.digest === undefined ? what : `${what} ${expected.digest}`;
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    throw new VarveError("MANIFEST_TOO_LARGE", `${named} has ${bytes.length} bytes`);
  }
  if (expected.size !== undefined && expected.size !== bytes.length) {
    throw new VarveError("SIZE_MISMATCH", `${named} has ${bytes.length} bytes, not ${expected.size}`);
  }
  if (expected.digest === undefined) return digestOf(bytes);
  const digest = digestOf(bytes, digestAlgorithm(expected.digest));
  if (digest !== expected.digest) throw new VarveError("DIGEST_MISMATCH", `${named} came as ${digest}`);
  return digest;
}

/** Decides what the document is, from what it says of itself, what it was sent as and what it looks like. */
function documentType(fields: Fields, stated: string | undefined, what: string): string {
  const own = fields.optionalString("mediaType");
  const version = fields.raw("schemaVersion");
  if (version === 1 || (own !== undefined && isSchema1Type(own))) throw schema1(what);
  if (version !== 2) fields.refuse("schemaVersion", version === undefined ? "is missing" : "is not 2");

  // GHSA-5j5w-g665-5m35: one digest that is an index to one reader and a manifest to another.
  if (fields.has("manifests") && (fields.has("layers") || fields.has("config"))) {
    fields.refuse("manifests", "stands beside layers or config, so that readers may take it for different images");
  }
  if (own !== undefined && stated !== undefined && own !== stated) {
    fields.refuse("mediaType", `is ${JSON.stringify(own.slice(0, 160))}, but it was sent as ${JSON.stringify(stated)}`);
  }
  const type = own ?? (stated !== undefined && isKnown(stated) ? stated : typeByShape(fields, stated, what));
  if (!isKnown(type)) throw unsupported(what, type);
  return type;
}

/** OCI makes `mediaType` optional, and plain file servers know no better than a general type. */
function typeByShape(fields: Fields, stated: string | undefined, what: string): string {
  const isGeneral = stated === undefined || GENERAL_TYPES.has(stated);
  if (isGeneral && fields.has("manifests")) return MEDIA_TYPES.ociIndex;
  if (isGeneral && fields.has("layers")) return MEDIA_TYPES.ociManifest;
  throw unsupported(what, stated ?? "something else");
}

const GENERAL_TYPES: ReadonlySet<string> = new Set([
  "",
  "application/json",
  "application/octet-stream",
  "binary/octet-stream",
  "text/plain",
]);

function isKnown(type: string): boolean {
  return isIndexType(type) || isManifestType(type);
}

const KNOWN_NAMES: ReadonlySet<string> = new Set([
  "schemaVersion",
  "mediaType",
  "artifactType",
  "config",
  "layers",
  "manifests",
  "subject",
  "annotations",
]);
const FOLDED_NAMES: ReadonlySet<string> = new Set([...KNOWN_NAMES].map(fold));

/** Go's decoder matches names whatever their case (also U+017F and U+212A), so `Layers` would be layers to it alone. */
function refuseLookalikes(fields: Fields): void {
  const lookalike = fields.names.find((name) => !KNOWN_NAMES.has(name) && FOLDED_NAMES.has(fold(name)));
  if (lookalike !== undefined) fields.refuse(JSON.stringify(lookalike), "is written in another case than the spec's");
}

function fold(name: string): string {
  return name.replaceAll("\u017f", "s").replaceAll("\u212a", "k").toLowerCase();
}

function schema1(what: string): VarveError {
  return new VarveError(
    "MANIFEST_UNSUPPORTED",
    `${what} is of Docker schema 1, which is obsolete and cannot be verified`,
  );
}

function unsupported(what: string, type: string): VarveError {
  return new VarveError("MANIFEST_UNSUPPORTED", `${what} is ${JSON.stringify(type.slice(0, 160))}`, {
    hint: "varve reads OCI and Docker schema 2 manifests and indexes; check that the name is an image's",
  });
}
