/** What was written to an active snapshot, as a layer: its changes as a tar, and an index over that. */
import { changesOfTree, changesOfUpper, type Changes } from "../../layer/diff/changes.ts";
import { writeLayerTar } from "../../layer/diff/layer-tar.ts";
import type { UnpackedLayer } from "../../layer/layer-target.ts";
import { unpackErofs } from "../../layer/unpack-erofs.ts";

/** @param tree that was written over nothing @param to the directory that the layer is written to */
export function layerOfTree(tree: string, to: string, signal?: AbortSignal): Promise<UnpackedLayer> {
  const options = signal === undefined ? {} : { signal };
  return write(changesOfTree(tree, { ...options, rootTime: true }), to, options);
}

/** @param upper of an overlay over what `lower` shows @param to the directory that the layer is written to */
export function layerOfUpper(upper: string, lower: string, to: string, signal?: AbortSignal): Promise<UnpackedLayer> {
  const options = signal === undefined ? {} : { signal };
  const changes = changesOfUpper(upper, { ...options, lower: { path: lower }, userXattr: false, rootTime: true });
  return write(changes, to, options);
}

function write(changes: Changes, to: string, options: { readonly signal?: AbortSignal }): Promise<UnpackedLayer> {
  return unpackErofs(writeLayerTar(changes, options), to, options);
}
