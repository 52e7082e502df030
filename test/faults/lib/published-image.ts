/** An image in a registry, without the bytes that it was made of: what a pull has to end in. */
import type { ChunkedDisk } from "../../../src/codec/tart/disk-image.ts";
import { chainIds } from "../../../src/oci/chain-id.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import type { KitImage } from "../../kit/images/build-image.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import { expectedTree } from "../../kit/trees/expected-tree.ts";
import type { TreeEntry } from "../../kit/trees/read-tree.ts";
import type { TreeNode } from "../../kit/trees/tree-node.ts";

export interface PublishedImage {
  /** Repository and tag. */
  readonly name: string;
  readonly tag: string;
  readonly digest: Digest;
  readonly config: Digest;
  readonly layers: readonly (Descriptor & { readonly diffId: Digest })[];
  /** Bytes of everything that a first pull has to fetch. */
  readonly bytes: number;
  /** Names of its layers as snapshots, from the lowest. */
  readonly chain: readonly Digest[];
  /** What each of them has to show, where its members are known. */
  readonly trees: ReadonlyMap<Digest, readonly TreeEntry[]>;
  /** Blobs beside its layers that may be got in the place of some of them. */
  readonly deltas?: readonly { readonly digest: string; readonly size: number }[];
  /** Of the image of a virtual machine, whose layers are never unpacked: what has to become of its disk. */
  readonly machine?: MachineFacts;
}

export interface MachineFacts {
  /** A raw disk that the same image is imported from. */
  readonly source: string;
  readonly key: Digest;
  readonly disk: ChunkedDisk;
  /** Hex, of the disk. */
  readonly sha256: string;
  /** All that importing it leaves beside the disk. */
  readonly blobs: ReadonlySet<Digest>;
}

/** @param members of the layers, each of which says all directories that no lower one has. Default: nobody looks into its trees */
export async function publish(
  host: string,
  name: string,
  tag: string,
  image: KitImage,
  members: readonly (readonly TreeNode[])[] = [],
): Promise<PublishedImage> {
  await pushImage(host, name, tag, image);
  const layers = image.layers.map(({ descriptor, diffId }) => ({ ...descriptor, diffId }));
  const layerBytes = layers.reduce((sum, { size }) => sum + size, 0);
  const bytes = layerBytes + image.config.bytes.length + image.bytes.length;
  const chain = chainIds(layers.map(({ diffId }) => diffId));
  const trees = new Map(members.map((_, index) => [chain[index]!, expectedTree(members.slice(0, index + 1))]));
  return { name, tag, digest: image.digest, config: image.config.digest, layers, bytes, chain, trees };
}
