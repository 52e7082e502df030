/** Virtual machines as Tart would push them: a disk in chunks of Apple LZ4, its manifest, and all blobs by digest. */
import { AppleLz4Encoder } from "../../../src/codec/apple-lz4/encoder.ts";
import { linuxVmConfig } from "../../../src/codec/tart/vm-config.ts";
import { tartConfig, tartManifest, type ChunkBlob } from "../../../src/codec/tart/write-tart.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { parseManifest, type Manifest } from "../../../src/oci/manifest.ts";

export interface TartImage {
  readonly manifest: Manifest;
  readonly blobs: ReadonlyMap<Digest, Buffer>;
  readonly disk: Buffer;
}

export interface TartImageOptions {
  /** Bytes of the disk in each chunk, over and over. Default: all in one. */
  readonly chunkSizes?: readonly number[];
  /** What a chunk's blob holds in the place of what the manifest says of it. Default: just that. */
  readonly holds?: (content: Buffer) => Buffer;
  /** A chunk's blob, which need not be Apple LZ4. Default: what `holds` says, encoded. */
  readonly blobOf?: (content: Buffer) => Buffer;
}

export function appleLz4(bytes: Uint8Array): Buffer {
  const encoder = new AppleLz4Encoder();
  const pieces: Buffer[] = [];
  for (const piece of encoder.write(bytes)) pieces.push(Buffer.from(piece));
  for (const piece of encoder.end()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

export function tartImage(
  disk: Buffer,
  {
    chunkSizes = [disk.length],
    holds = (content) => content,
    blobOf = (content) => appleLz4(holds(content)),
  }: TartImageOptions = {},
): TartImage {
  const blobs = new Map<Digest, Buffer>();
  const put = (bytes: Buffer): { digest: Digest; size: number } => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  };
  const chunks: ChunkBlob[] = [];
  for (let at = 0; at < disk.length;) {
    const content = disk.subarray(at, at + chunkSizes[chunks.length % chunkSizes.length]!);
    chunks.push({ ...put(blobOf(content)), content: { digest: digestOf(content), size: content.length } });
    at += content.length;
  }
  const bytes = tartManifest({
    config: put(tartConfig({ os: "linux", architecture: "arm64", diskFormat: "raw" })),
    vmConfig: put(someVmConfig()),
    chunks,
    nvram: put(Buffer.from("nvram")),
    uploadTime: new Date("2026-08-18T07:16:00.123Z"),
  });
  return { manifest: parseManifest(bytes) as Manifest, blobs, disk };
}

export function someVmConfig(): Buffer {
  return linuxVmConfig({
    architecture: "arm64",
    cpuCount: 4,
    cpuCountMin: 2,
    memorySize: 4 << 28,
    memorySizeMin: 4 << 27,
    macAddress: "7a:65:e4:3f:b2:01",
    diskFormat: "raw",
  });
}
