/** Layers of zstd:chunked as varve writes them. */
import { ZstdChunkedWriter } from "../../../src/codec/zstd-chunked/writer.ts";
import type { TreeNode } from "../trees/tree-node.ts";
import { layerOf, type KitLayer } from "./build-layer.ts";
import { packTree } from "./pack-tree.ts";

/** @param content the layer's members in order, or a tar */
export async function chunkedLayer(content: readonly TreeNode[] | Uint8Array, level = 3): Promise<KitLayer> {
  const tar = content instanceof Uint8Array ? Buffer.from(content) : packTree(content);
  const parts: Buffer[] = [];
  using writer = new ZstdChunkedWriter((bytes) => parts.push(Buffer.from(bytes)), { level });
  await writer.write(tar);
  const { annotations, refused } = await writer.end();
  if (annotations === undefined) throw new Error(refused?.message ?? "the layer has no table of contents");
  return layerOf(tar, Buffer.concat(parts), "application/vnd.oci.image.layer.v1.tar+zstd", annotations);
}
