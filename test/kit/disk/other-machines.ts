/** Virtual machines as vetu, lume and other versions of Tart than today's flat one push them (formats "tart" §1, §2 and §6). */
import { gzipSync } from "node:zlib";
import { LUME_ANNOTATIONS, LUME_TYPES, TART_ANNOTATIONS, TART_TYPES } from "../../../src/codec/tart/names.ts";
import { VETU_ANNOTATIONS, VETU_TYPES } from "../../../src/codec/tart/names.ts";
import { tartConfig } from "../../../src/codec/tart/write-tart.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { parseManifest, type Manifest } from "../../../src/oci/manifest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import { compressedFrames } from "../recipe/frames-recipe.ts";
import type { MachineImage } from "./machine-bench.ts";
import { appleLz4, someVmConfig } from "./tart-image.ts";

interface Layer {
  readonly type: string;
  readonly bytes: Buffer;
  readonly annotations?: Readonly<Record<string, string>>;
}

function imageOf(layers: readonly Layer[], config: Layer): MachineImage {
  const blobs = new Map<Digest, Buffer>();
  const put = ({ type, bytes, annotations }: Layer) => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType: type, digest, size: bytes.length, ...(annotations !== undefined && { annotations }) };
  };
  const mediaType = MEDIA_TYPES.ociManifest;
  const document = { schemaVersion: 2, mediaType, config: put(config), layers: layers.map(put) };
  return { manifest: parseManifest(Buffer.from(JSON.stringify(document))) as Manifest, blobs };
}

const STUB: Layer = {
  type: MEDIA_TYPES.ociConfig,
  bytes: tartConfig({ os: "darwin", architecture: "arm64", diskFormat: "raw" }),
};

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}

/** @param disks the base, then what lies over it, each in chunks */
export function stackedTart(...disks: readonly (readonly Buffer[])[]): MachineImage {
  const chunks = disks.flatMap((parts, number) =>
    parts.map((bytes, at): Layer => {
      const head = at === 0 && {
        [TART_ANNOTATIONS.fileDigest]: digestOf(Buffer.concat(parts)),
        ...(number > 0 && { [TART_ANNOTATIONS.fileChunks]: String(parts.length) }),
      };
      const annotations = {
        ...head,
        [TART_ANNOTATIONS.size]: String(bytes.length),
        [TART_ANNOTATIONS.digest]: digestOf(bytes),
      };
      return { type: number === 0 ? TART_TYPES.disk : TART_TYPES.overlay, bytes: appleLz4(bytes), annotations };
    }),
  );
  return imageOf([...tartEnds(chunks)], STUB);
}

/** One stream, cut every so many bytes of it. */
export function tartV1(disk: Buffer, cutBytes: number): MachineImage {
  const chunks = cut(appleLz4(disk), cutBytes).map((bytes): Layer => ({ type: TART_TYPES.diskV1, bytes }));
  return imageOf(tartEnds(chunks), STUB);
}

function tartEnds(chunks: readonly Layer[]): Layer[] {
  return [
    { type: TART_TYPES.config, bytes: someVmConfig() },
    ...chunks,
    { type: TART_TYPES.nvram, bytes: Buffer.from("nvram") },
  ];
}

export interface OtherOptions {
  readonly chunkBytes: number;
  /** Whether the manifest says what the chunks hold. Default true. */
  readonly digests?: boolean;
}

export function vetuImage(
  disks: Readonly<Record<string, Buffer>>,
  { chunkBytes, digests = true }: OtherOptions,
): MachineImage {
  const chunks = Object.entries(disks).flatMap(([name, disk]) =>
    cut(disk, chunkBytes).map((bytes): Layer => {
      const annotations = {
        [VETU_ANNOTATIONS.name]: name,
        [VETU_ANNOTATIONS.size]: String(bytes.length),
        ...(digests && { [VETU_ANNOTATIONS.digest]: digestOf(bytes) }),
      };
      return { type: VETU_TYPES.disk, bytes: compressedFrames(bytes, "lz4-frames"), annotations };
    }),
  );
  const config = { type: VETU_TYPES.config, bytes: Buffer.from('{"version":1}') };
  const kernel = { type: VETU_TYPES.kernel, bytes: Buffer.from("kernel") };
  return imageOf([config, kernel, ...chunks], STUB);
}

/** In parts that say where they lie, the last one first; and the NVRAM before them. */
export function lumeImage(disk: Buffer, { chunkBytes, digests = true }: OtherOptions): MachineImage {
  const parts = cut(disk, chunkBytes).map((bytes, at): Layer => {
    const annotations = {
      [LUME_ANNOTATIONS.offset]: String(at * chunkBytes),
      [LUME_ANNOTATIONS.size]: String(bytes.length),
      ...(digests && { [LUME_ANNOTATIONS.digest]: digestOf(bytes) }),
    };
    return { type: LUME_TYPES.disk, bytes: gzipSync(bytes), annotations };
  });
  const nvram = { type: LUME_TYPES.nvram, bytes: Buffer.from("nvram") };
  return imageOf([nvram, ...parts.toReversed()], { type: LUME_TYPES.config, bytes: Buffer.from("{}") });
}
