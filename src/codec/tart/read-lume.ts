/**
 * The manifests of lume (formats "tart" §6): of today, with a disk of gzip in one layer or in parts that say where they lie; and of early versions,
 * chunks of Apple LZ4 or parts that are cut out of the disk, in the order of their numbers.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { annotation, ChunkChecks, chunkedDisk, type ChunkFacts, type ChunkKeys } from "./chunk-list.ts";
import { DISK_NAME, type ChunkedDisk, type DiskImage } from "./disk-image.ts";
import { partNumber } from "./early-lume.ts";
import { LUME_ANNOTATIONS, LUME_TYPES } from "./names.ts";

const PLAIN_TYPE = "application/octet-stream";
const NOW: ChunkKeys = { size: LUME_ANNOTATIONS.size, digest: LUME_ANNOTATIONS.digest };
const EARLY: ChunkKeys = { size: LUME_ANNOTATIONS.earlySize, digest: LUME_ANNOTATIONS.earlyDigest };

interface Part {
  readonly blob: Descriptor;
  readonly facts: ChunkFacts;
}

/** @throws VarveError `MANIFEST_INVALID` */
export function readLume(manifest: Manifest): DiskImage {
  const checks = new ChunkChecks(manifest);
  const { layers, config } = manifest;
  const nvram = layers.find(({ mediaType }) => mediaType === LUME_TYPES.nvram || mediaType === PLAIN_TYPE);
  const isEarly = !layers.some(({ mediaType }) => mediaType === LUME_TYPES.disk);
  const own = layers.find(({ mediaType }) => mediaType === MEDIA_TYPES.ociConfig);
  return {
    format: "lume",
    config: isEarly ? (own ?? config) : config,
    ...(nvram !== undefined && { nvram }),
    disks: [isEarly ? earlyDisk(checks, layers) : disk(checks, layers)],
    stacked: false,
    canonical: false,
  };
}

function disk(checks: ChunkChecks, layers: readonly Descriptor[]): ChunkedDisk {
  const blobs = layers.filter(({ mediaType }) => mediaType === LUME_TYPES.disk);
  const offsets = new Map(blobs.map((blob) => [blob, offsetOf(checks, blob, blobs.length)]));
  const ordered = blobs.toSorted((a, b) => offsets.get(a)! - offsets.get(b)!);
  const made = chunkedDisk(
    checks,
    DISK_NAME,
    ordered.map((blob) => part(checks, blob, "gzip", NOW)),
  );
  if (made.chunks.some(({ blob, offset }) => offsets.get(blob) !== offset)) {
    throw checks.invalid("has parts of a disk that overlap, or lacks some");
  }
  return made;
}

function offsetOf(checks: ChunkChecks, blob: Descriptor, parts: number): number {
  const isWhole = parts === 1 && annotation(blob, LUME_ANNOTATIONS.offset) === undefined;
  return isWhole ? 0 : checks.count(blob, LUME_ANNOTATIONS.offset);
}

function earlyDisk(checks: ChunkChecks, layers: readonly Descriptor[]): ChunkedDisk {
  const chunks = layers.filter(({ mediaType }) => mediaType === LUME_TYPES.earlyChunk);
  if (chunks.length > 0)
    return chunkedDisk(
      checks,
      DISK_NAME,
      chunks.map((blob) => part(checks, blob, "apple-lz4", EARLY)),
    );
  const numbered = layers.flatMap((blob) => {
    const numbers = partNumber(blob.mediaType);
    return numbers === undefined ? [] : [{ blob, ...numbers }];
  });
  if (numbered.length === 0) throw checks.invalid("has no disk");
  const ordered = numbered.toSorted((a, b) => a.number - b.number);
  if (ordered.some(({ number, total }, at) => number !== at + 1 || total !== ordered.length)) {
    throw checks.invalid("has parts of a disk twice, or lacks some");
  }
  return chunkedDisk(
    checks,
    DISK_NAME,
    ordered.map(({ blob }) => storedPart(blob)),
  );
}

function storedPart(blob: Descriptor): Part {
  return { blob, facts: { coding: "stored", size: blob.size, digest: blob.digest } };
}

function part(checks: ChunkChecks, blob: Descriptor, coding: ChunkFacts["coding"], keys: ChunkKeys): Part {
  const size = checks.count(blob, keys.size);
  const digest = annotation(blob, keys.digest) === undefined ? undefined : checks.digest(blob, keys.digest);
  return { blob, facts: { coding, size, digest } };
}
