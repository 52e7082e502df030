/** Layers in overlay form, unpacked each by itself and bound to each other from the bottom up, as an overlay driver does it. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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
  options: OverlayLayersOptions = {},
): Promise<BoundLayer[]> {
  const bound: BoundLayer[] = [];
  for (const [index, layer] of layers.entries()) {
    bound.unshift(await bindLayer(join(base, `layer${index}`), layer, bound, options));
  }
  return bound;
}

/** @param base does not exist @param parents the nearest first */
export async function bindLayer(
  base: string,
  layer: KitTar,
  parents: readonly BoundLayer[],
  { userXattr = false }: OverlayLayersOptions = {},
): Promise<BoundLayer> {
  const tar = layer instanceof Uint8Array ? layer : packTree(layer);
  const directory = join(base, "fs");
  mkdirSync(directory, { recursive: true });
  const unpacked = await unpackOverlay(piecesOf(tar), { form: "overlay", directory, userXattr });
  const below = parents.map((each) => each.directory);
  const { replay } = settleImplied({ directory, open: unpacked.open, parents: below, userXattr });
  if (replay === undefined) return { directory, unpacked, replayed: undefined };
  return { directory: await again(base, tar, below, userXattr), unpacked, replayed: replay };
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

/** Whether overlays can be mounted here, as this file does it; tests that need them skip where not. */
export const canMountOverlays = ((): boolean => {
  const base = mkdtempSync(join(tmpdir(), "varve-test-"));
  try {
    for (const name of ["a", "b", "upper", "work"]) mkdirSync(join(base, name));
    mountOverlay([join(base, "a"), join(base, "b")], { upper: join(base, "upper"), work: join(base, "work") })[
      Symbol.dispose
    ]();
    return true;
  } catch {
    return false;
  } finally {
    rmSync(base, { recursive: true });
  }
})();

async function again(base: string, tar: Uint8Array, parents: readonly string[], userXattr: boolean): Promise<string> {
  const [upper, work] = [join(base, "upper"), join(base, "work")];
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
