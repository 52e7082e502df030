/**
 * Config and manifest of a delta image (formats "balena-delta" §2): Docker's, of which balena's engine reads the labels and the layers. Annotations are
 * varve's own, and nobody else's concern.
 */
import { VarveError } from "../../errors/varve-error.ts";
import {
  BASE_LABEL,
  CONFIG_LABEL,
  VARVE_DELTA_BASE,
  VARVE_DELTA_SIZE,
  VARVE_DELTA_TARGET,
} from "../../oci/delta-names.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Manifest } from "../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { parseJson } from "../../oci/strict-json.ts";

/** The image that a delta is taken from. */
export interface DeltaBase {
  /** Digest of the config: the image's ID. */
  readonly imageId: Digest;
  /** Where they are known. */
  readonly diffIds?: readonly Digest[];
}

/** The image that a delta makes. */
export interface DeltaTarget {
  readonly imageId: Digest;
  readonly configBytes: Uint8Array;
  /** Where there is one: a delta that was made of two others knows none. */
  readonly manifest?: { readonly digest: Digest };
}

export interface NewDeltaLayer {
  /** Of the delta layer's tar, uncompressed. */
  readonly diffId: Digest;
  readonly blob: { readonly digest: Digest; readonly size: number };
  /** Of the tar of the target's layer, where it is known. */
  readonly targetBytes?: number;
}

export interface DeltaDocuments {
  readonly config: { readonly bytes: Uint8Array; readonly descriptor: Descriptor };
  readonly manifest: Manifest;
}

/** An image that does not say when it was made; and this date makes no two deltas of it differ. */
const UNKNOWN_TIME = "1970-01-01T00:00:00Z";

/**
 * Equal images give equal documents: the time is the target's.
 * @throws VarveError `CONFIG_INVALID` for a target whose config is no text, `MANIFEST_TOO_LARGE` for one that makes the delta's too large
 */
export function deltaDocuments(base: DeltaBase, target: DeltaTarget, layers: readonly NewDeltaLayer[]): DeltaDocuments {
  const text = textOf(target);
  const bytes = Buffer.from(
    JSON.stringify({
      created: createdOf(target),
      config: { Labels: { [BASE_LABEL]: base.imageId, [CONFIG_LABEL]: text } },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    }),
  );
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    throw new VarveError(
      "MANIFEST_TOO_LARGE",
      `with the config of ${target.imageId} in it, the delta's has ${bytes.length} bytes`,
    );
  }
  const descriptor = { mediaType: MEDIA_TYPES.dockerConfig, digest: digestOf(bytes), size: bytes.length };
  const annotations = {
    ...(base.diffIds !== undefined && { [VARVE_DELTA_BASE]: base.diffIds.join(" ") }),
    ...(target.manifest !== undefined && { [VARVE_DELTA_TARGET]: target.manifest.digest }),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.dockerManifest,
    config: descriptor,
    layers: layers.map(({ blob: { digest, size }, targetBytes }) => ({
      mediaType: MEDIA_TYPES.dockerLayerGzip,
      digest,
      size,
      ...(targetBytes !== undefined && { annotations: { [VARVE_DELTA_SIZE]: String(targetBytes) } }),
    })),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
  const parsed = parseManifest(Buffer.from(JSON.stringify(manifest)), { contentType: MEDIA_TYPES.dockerManifest });
  if (parsed.kind !== "manifest") throw new VarveError("INTERNAL", "a delta's manifest is none");
  return { config: { bytes, descriptor }, manifest: parsed };
}

/** Its bytes are in the label as text, and have to come out of it as they were. */
function textOf({ configBytes, imageId }: DeltaTarget): string {
  const text = Buffer.from(configBytes).toString("utf8");
  if (Buffer.from(text).equals(configBytes)) return text;
  throw new VarveError("CONFIG_INVALID", `the config ${imageId} is not UTF-8, so that no delta image can hold it`, {
    hint: "make the delta with --format tar-diff",
  });
}

function createdOf({ configBytes }: DeltaTarget): string {
  const config = parseJson(configBytes, "image config", { code: "CONFIG_INVALID" });
  const isObject = typeof config === "object" && config !== null && !Array.isArray(config);
  const created = isObject ? config["created"] : undefined;
  return typeof created === "string" && created !== "" ? created : UNKNOWN_TIME;
}
