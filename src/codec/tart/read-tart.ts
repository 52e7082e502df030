/**
 * Tart's manifests (formats "tart" §1 and §2). Those of all times are read: chunks of any size in v2, the one stream of v1, stacks of disks.
 * Only offsets that follow from the sizes before are used, as in Tart itself.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestHex } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { annotation, ChunkChecks, chunkedDisk, MOST_CHUNKS } from "./chunk-list.ts";
import { DISK_NAME, type ChunkedDisk, type DiskImage, type StreamedDisk } from "./disk-image.ts";
import { TART_ANNOTATIONS, TART_TYPES } from "./names.ts";
import { parseCount } from "./parse-count.ts";

const KNOWN_TYPES: ReadonlySet<string> = new Set(Object.values(TART_TYPES));

/** @throws VarveError `MANIFEST_INVALID`; `MEDIA_TYPE_UNSUPPORTED` where a layer is of a type that may be a part of the disk */
export function readTart(manifest: Manifest): DiskImage {
  const checks = new ChunkChecks(manifest);
  const { layers } = manifest;
  const unknown = layers.find(({ mediaType }) => !KNOWN_TYPES.has(mediaType));
  if (unknown !== undefined) {
    const message = `manifest ${manifest.digest} has a layer of type ${unknown.mediaType} beside Tart's`;
    throw new VarveError("MEDIA_TYPE_UNSUPPORTED", message);
  }
  const config = onlyOne(checks, layers, TART_TYPES.config);
  const nvram = onlyOne(checks, layers, TART_TYPES.nvram);
  // Tart looked for layers by their types until it began to stack disks.
  const disks = layers.filter((layer) => layer !== config && layer !== nvram);
  const isOrdered = layers[0] === config && layers.at(-1) === nvram;
  const common = { format: "tart", config, nvram, ...statements(manifest) } as const;
  if (disks.some(({ mediaType }) => mediaType === TART_TYPES.diskV1)) {
    return { ...common, disks: [streamed(checks, disks)], stacked: false, canonical: false };
  }
  const bases = disks.findIndex(({ mediaType }) => mediaType !== TART_TYPES.disk);
  const base = baseDisk(checks, bases < 0 ? disks : disks.slice(0, bases));
  if (bases < 0) return { ...common, disks: [base], stacked: false, canonical: isOrdered };
  if (!isOrdered) throw checks.invalid("has its config and NVRAM elsewhere than around its stack of disks");
  if (base.digest === undefined) throw checks.invalid("lacks the digest of the base of its stack of disks");
  const overlays = [...overlayDisks(checks, disks.slice(bases))];
  return { ...common, disks: [{ ...base, name: digestHex(base.digest) }, ...overlays], stacked: true, canonical: true };
}

function onlyOne(checks: ChunkChecks, layers: readonly Descriptor[], type: string): Descriptor {
  const [layer, ...others] = layers.filter(({ mediaType }) => mediaType === type);
  if (layer !== undefined && others.length === 0) return layer;
  throw checks.invalid(`has ${layer === undefined ? "no layer" : "several layers"} of type ${type}`);
}

function statements(manifest: Manifest): Pick<DiskImage, "statedSize" | "blockSize" | "uploadTime"> {
  const statedSize = parseCount(annotation(manifest, TART_ANNOTATIONS.diskSize));
  const blockSize = parseCount(annotation(manifest, TART_ANNOTATIONS.blockSize));
  const uploadTime = annotation(manifest, TART_ANNOTATIONS.uploadTime);
  return {
    ...(statedSize !== undefined && { statedSize }),
    ...(blockSize !== undefined && { blockSize }),
    ...(uploadTime !== undefined && { uploadTime }),
  };
}

function streamed(checks: ChunkChecks, blobs: readonly Descriptor[]): StreamedDisk {
  if (blobs.some(({ mediaType }) => mediaType !== TART_TYPES.diskV1)) throw checks.invalid("mixes disks of v1 and v2");
  if (blobs.length > MOST_CHUNKS) throw checks.invalid(`has more than ${MOST_CHUNKS} chunks of disks`);
  return { kind: "stream", name: DISK_NAME, blobs };
}

function baseDisk(checks: ChunkChecks, chunks: readonly Descriptor[]): ChunkedDisk {
  const [first, ...others] = chunks;
  if (first === undefined) throw checks.invalid("has no disk");
  if (annotation(first, TART_ANNOTATIONS.fileChunks) !== undefined) {
    throw checks.invalid("says of its first disk how many chunks it has, which only overlays do");
  }
  refuseHeads(checks, others);
  const hasDigest = annotation(first, TART_ANNOTATIONS.fileDigest) !== undefined;
  const digest = hasDigest ? checks.digest(first, TART_ANNOTATIONS.fileDigest) : undefined;
  return chunkedDisk(
    checks,
    DISK_NAME,
    chunks.map((blob) => part(checks, blob)),
    digest,
  );
}

function* overlayDisks(checks: ChunkChecks, chunks: readonly Descriptor[]): Generator<ChunkedDisk> {
  for (let at = 0; at < chunks.length;) {
    const digest = checks.digest(chunks[at]!, TART_ANNOTATIONS.fileDigest);
    const count = checks.count(chunks[at]!, TART_ANNOTATIONS.fileChunks);
    if (count === 0 || count > chunks.length - at) {
      throw checks.invalid(`says that an overlay has ${count} chunks, where ${chunks.length - at} are left`);
    }
    const group = chunks.slice(at, at + count);
    if (group.some(({ mediaType }) => mediaType !== TART_TYPES.overlay)) {
      throw checks.invalid("has chunks of other disks among those of an overlay");
    }
    refuseHeads(checks, group.slice(1));
    yield chunkedDisk(
      checks,
      digestHex(digest),
      group.map((blob) => part(checks, blob)),
      digest,
    );
    at += count;
  }
}

/** What is said of a whole disk stands on its first chunk. */
function refuseHeads(checks: ChunkChecks, chunks: readonly Descriptor[]): void {
  const { fileDigest, fileChunks } = TART_ANNOTATIONS;
  const head = chunks.find((chunk) => [fileDigest, fileChunks].some((key) => annotation(chunk, key) !== undefined));
  if (head !== undefined)
    throw checks.invalid(`says of ${head.digest}, which is no disk's first chunk, what is of disks`);
}

function part(checks: ChunkChecks, blob: Descriptor): Parameters<typeof chunkedDisk>[2][number] {
  const size = checks.count(blob, TART_ANNOTATIONS.size);
  const digest = checks.digest(blob, TART_ANNOTATIONS.digest);
  return { blob, facts: { coding: "apple-lz4", size, digest } };
}
