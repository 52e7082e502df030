/** A layer as a builder makes it: tar, DiffID over the tar, blob and digest over the compressed bytes. */
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { TreeNode } from "../trees/tree-node.ts";
import { compress, LAYER_TYPES, type Compression, type Flavour } from "./compress.ts";
import { packTree } from "./pack-tree.ts";

export interface LayerOptions {
  /** Default gzip. */
  readonly compression?: Compression;
  /** Default oci. */
  readonly flavour?: Flavour;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface KitLayer {
  /** The blob. */
  readonly bytes: Buffer;
  /** What the blob is when decompressed. */
  readonly tar: Buffer;
  readonly diffId: Digest;
  readonly descriptor: Descriptor;
}

/** @param content the layer's members in order (whiteouts are members as well), or a tar as it shall be */
export async function buildLayer(
  content: readonly TreeNode[] | Uint8Array,
  options: LayerOptions = {},
): Promise<KitLayer> {
  const { compression = "gzip", flavour = "oci", annotations } = options;
  const tar = content instanceof Uint8Array ? Buffer.from(content) : packTree(content);
  return layerOf(tar, await compress(tar, compression), LAYER_TYPES[flavour][compression], annotations);
}

/** A layer of bytes that somebody else made: foreign compressors, chunked formats, broken streams. */
export function layerOf(
  tar: Buffer,
  bytes: Buffer,
  mediaType: string,
  annotations?: Readonly<Record<string, string>>,
): KitLayer {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length, ...(annotations && { annotations }) };
  return { bytes, tar, diffId: digestOf(tar), descriptor };
}
