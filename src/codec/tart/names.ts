/**
 * The one table of media types and annotations of virtual machines' disks in registries (formats "tart" §1 and §6): what Tart writes, and what
 * vetu and lume do.
 */
export const TART_TYPES = {
  config: "application/vnd.cirruslabs.tart.config.v1",
  disk: "application/vnd.cirruslabs.tart.disk.v2",
  overlay: "application/vnd.cirruslabs.tart.disk.asif.overlay.v1",
  nvram: "application/vnd.cirruslabs.tart.nvram.v1",
  /** One stream over the whole disk, cut anywhere; current Tart refuses it. */
  diskV1: "application/vnd.cirruslabs.tart.disk.v1",
} as const;

export const TART_ANNOTATIONS = {
  size: "org.cirruslabs.tart.uncompressed-size",
  digest: "org.cirruslabs.tart.uncompressed-content-digest",
  fileDigest: "org.cirruslabs.tart.disk-file-content-digest",
  fileChunks: "org.cirruslabs.tart.disk-file-chunk-count",
  diskSize: "org.cirruslabs.tart.uncompressed-disk-size",
  uploadTime: "org.cirruslabs.tart.upload-time",
  blockSize: "org.cirruslabs.tart.disk.block-size",
} as const;

/** In the labels of the image's config. */
export const TART_DISK_FORMAT_LABEL = "org.cirruslabs.tart.disk.format";

export const VETU_TYPES = {
  config: "application/vnd.cirruslabs.vetu.config.v1",
  kernel: "application/vnd.cirruslabs.vetu.kernel.v1",
  initramfs: "application/vnd.cirruslabs.vetu.initramfs.v1",
  disk: "application/vnd.cirruslabs.vetu.disk.v1",
} as const;

export const VETU_ANNOTATIONS = {
  name: "org.cirruslabs.vetu.name",
  size: "org.cirruslabs.vetu.uncompressed-size",
  digest: "org.cirruslabs.vetu.uncompressed-digest",
} as const;

export const LUME_TYPES = {
  config: "application/vnd.trycua.lume.config.v1+json",
  disk: "application/vnd.trycua.lume.disk.v1",
  nvram: "application/vnd.trycua.lume.nvram.v1",
  /** Chunks of early versions, each a stream of Apple LZ4. */
  earlyChunk: "application/octet-stream+lz4",
  /** Parts of early versions; whatever the name says, they are cut out of the disk and not compressed. */
  earlyPart: "application/octet-stream+lzfse",
} as const;

export const LUME_ANNOTATIONS = {
  title: "org.opencontainers.image.title",
  offset: "org.trycua.lume.part.offset",
  size: "org.trycua.lume.content.uncompressed-size",
  digest: "org.trycua.lume.content.uncompressed-digest",
  earlySize: "org.trycua.lume.uncompressed-size",
  earlyDigest: "org.trycua.lume.uncompressed-content-digest",
} as const;

/** Layers that are chunks of a disk, each a stream of Apple LZ4. */
export const APPLE_LZ4_CHUNKS: ReadonlySet<string> = new Set([
  TART_TYPES.disk,
  TART_TYPES.overlay,
  LUME_TYPES.earlyChunk,
]);
