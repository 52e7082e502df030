/** Descriptors and platforms as they stand in documents, OCI image-spec "descriptor.md" and "image-index.md". */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "./descriptor.ts";
import { digestAlgorithm, digestOf, type Digest } from "./digest.ts";
import type { Fields } from "./fields.ts";
import type { Platform } from "./platform.ts";

const MAX_MEDIA_TYPE_LENGTH = 255;

/** @throws VarveError the code of `fields`; `DIGEST_MISMATCH`, `SIZE_MISMATCH` when inline `data` is not the blob */
export function parseDescriptor(fields: Fields): Descriptor {
  const mediaType = parseMediaType(fields, "mediaType");
  const digest = fields.digest("digest");
  const size = fields.size("size");
  const annotations = fields.optionalStringMap("annotations");
  const platform = fields.optionalObject("platform");
  const artifactType = fields.optionalString("artifactType");
  const urls = fields.optionalStrings("urls");
  const data = fields.optionalString("data");
  if (data !== undefined) checkInlineData(fields, data, { digest, size });
  return {
    mediaType,
    digest,
    size,
    ...(annotations !== undefined && { annotations }),
    ...(platform !== undefined && { platform: parsePlatformFields(platform) }),
    ...(artifactType !== undefined && { artifactType }),
    ...(urls !== undefined && { urls }),
    ...(data !== undefined && { data }),
  };
}

function parseMediaType(fields: Fields, name: string): string {
  const type = fields.string(name);
  // Artifacts have odd types; all that matters is that one is safe to show and to send as a header.
  if (type.length > MAX_MEDIA_TYPE_LENGTH || !/^[\x21-\x7e]+$/.test(type)) fields.refuse(name, "is not a media type");
  return type;
}

/** Missing parts become empty: one odd entry must not hide the others of an index; it just never matches. */
function parsePlatformFields(fields: Fields): Platform {
  const variant = fields.optionalString("variant");
  const osVersion = fields.optionalString("os.version");
  const osFeatures = fields.optionalStrings("os.features");
  return {
    os: fields.optionalString("os") ?? "",
    architecture: fields.optionalString("architecture") ?? "",
    ...(variant !== undefined && variant !== "" && { variant }),
    ...(osVersion !== undefined && osVersion !== "" && { osVersion }),
    ...(osFeatures !== undefined && osFeatures.length > 0 && { osFeatures }),
  };
}

function checkInlineData(fields: Fields, data: string, blob: { digest: Digest; size: number }): void {
  if (data.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(data)) fields.refuse("data", "is not base64");
  const bytes = Buffer.from(data, "base64");
  if (bytes.length !== blob.size) {
    throw new VarveError("SIZE_MISMATCH", `inline data of ${blob.digest} has ${bytes.length} bytes, not ${blob.size}`);
  }
  if (digestOf(bytes, digestAlgorithm(blob.digest)) !== blob.digest) {
    throw new VarveError("DIGEST_MISMATCH", `inline data of ${blob.digest} is not what the digest says`);
  }
}
