/** Layers in overlay form, unpacked each by itself and bound to each other from the bottom up, as an overlay driver does it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { applyOver } from "../../../src/layer/apply-over.ts";
import type { UnpackedLayer } from "../../../src/layer/layer-target.ts";
import { NEW_UPPER, settleImplied } from "../../../src/layer/overlay-settle.ts";
import { unpackOverlay } from "../../../src/layer/unpack-overlay.ts";
import { openFileSystem, type MountParameter, type OpenMount } from "../../../src/sys/mount.ts";
import { packTree } from "../images/pack-tree.ts";
import { readTree, type TreeEntry } from "../trees/read-tree.ts";
import { piecesOf, type KitTar } from "./apply-all.ts";

export interface OverlayLayersOptions {
  readonly userXattr?: boolean;
}

export interface BoundLayer {
  readonly directory: string;
  readonly unpacked: UnpackedLayer;
  /** Why it was applied onto its parents. */
  readonly replayed: string | undefined;
}

/** @param base an empty directory @param layers from the lowest up @returns the nearest first */
export async function bindLayers(
  base: string,
  layers: readonly KitTar[],
  { userXattr = false }: OverlayLayersOptions = {},
): Promise<BoundLayer[]> {
  const bound: BoundLayer[] = [];
  for (const [index, layer] of layers.entries()) {
    const tar = layer instanceof Uint8Array ? layer : packTree(layer);
    const directory = join(base, `layer${index}`);
    mkdirSync(directory);
    const unpacked = await unpackOverlay(piecesOf(tar), { form: "overlay", directory, userXattr });
    const parents = bound.map((each) => each.directory);
    const { replay } = settleImplied({ directory, open: unpacked.open, parents, userXattr });
    if (replay === undefined) bound.unshift({ directory, unpacked, replayed: undefined });
    else bound.unshift({ directory: await again(base, index, tar, parents, userXattr), unpacked, replayed: replay });
  }
  return bound;
}

/** What a mount of the layers shows; of a single one, what its directory holds. */
export async function readMerged(
  layers: readonly BoundLayer[],
  { userXattr = false }: OverlayLayersOptions = {},
): Promise<TreeEntry[]> {
  const [first, second] = layers;
  if (first !== undefined && second === undefined) return readTree(first.directory);
  using mount = mountOverlay(
    layers.map(({ directory }) => directory),
    { userXattr },
  );
  return await readTree(`${mount.path}/.`);
}

/** @param lower the nearest first */
export function mountOverlay(
  lower: readonly string[],
  { userXattr = false, upper, work }: OverlayLayersOptions & { readonly upper?: string; readonly work?: string } = {},
): OpenMount {
  const parameters: MountParameter[] = lower.map((value) => ({ key: "lowerdir+", value }));
  if (upper !== undefined) parameters.push({ key: "upperdir", value: upper });
  if (work !== undefined) parameters.push({ key: "workdir", value: work });
  parameters.push({ key: "index", value: "off" }, { key: "metacopy", value: "off" });
  if (userXattr) parameters.push({ key: "userxattr" });
  return openFileSystem("overlay", parameters);
}

async function again(
  base: string,
  index: number,
  tar: Uint8Array,
  parents: readonly string[],
  userXattr: boolean,
): Promise<string> {
  const [upper, work] = [join(base, `upper${index}`), join(base, `work${index}`)];
  mkdirSync(upper);
  mkdirSync(work);
  if (parents.length === 0) {
    await applyOver(piecesOf(tar), upper, { onto: "bottom" });
  } else {
    settleImplied({ directory: upper, open: NEW_UPPER, parents, userXattr });
    using mount = mountOverlay(parents, { userXattr, upper, work });
    await applyOver(piecesOf(tar), mount.path);
  }
  return upper;
}
