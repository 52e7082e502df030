/** Holds what comes of layers in memory to what `LayerApplier` leaves in a directory. */
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isVarveError } from "../../../src/errors/varve-error.ts";
import { applyLayer } from "../../../src/layer/apply-layer.ts";
import { LayerApplier } from "../../../src/layer/apply.ts";
import { diffTrees } from "../trees/diff-trees.ts";
import { readTree } from "../trees/read-tree.ts";
import { piecesOf } from "./apply-all.ts";
import { bindAlone, buildOnto, listIndex, noLayers, type KitIndex } from "./index-layers.ts";

export interface Comparison {
  /** In what the three differ; empty when they agree. */
  readonly differences: readonly string[];
  /** Of each layer that was bound: why it had to be replayed, or undefined when its metadata was merged. */
  readonly bound: readonly (string | undefined)[];
  /** The layer that no applier takes, and the code that they say. */
  readonly failure: string | undefined;
}

/** @param directory does not exist yet; it is removed again */
export async function compareAppliers(directory: string, tars: readonly Uint8Array[]): Promise<Comparison> {
  mkdirSync(directory);
  const bound: (string | undefined)[] = [];
  try {
    using applier = new LayerApplier(directory);
    const disk = await failureOf(tars, (tar) => applyLayer(piecesOf(tar), applier));
    let onto = noLayers();
    const sequential = await failureOf(tars, (tar) => {
      onto = buildOnto(onto, tar);
    });
    let merged: KitIndex = noLayers();
    const alone = await failureOf(tars, (tar, number) => {
      // Every other layer takes the way through its written index.
      const layer = bindAlone(merged, tar, { through: number % 2 === 0 });
      bound.push(layer.replay);
      merged = layer;
    });
    const said = [disk, sequential, alone].map((failure) => failure ?? "fine");
    if (new Set(said).size > 1) return { differences: [`outcomes: ${said.join(" / ")}`], bound, failure: disk };
    if (disk !== undefined) return { differences: [], bound, failure: disk };
    const differences = [
      ...diffTrees(await readTree(directory), listIndex(onto)).map((line) => `disk / onto: ${line}`),
      ...diffTrees(listIndex(onto), listIndex(merged)).map((line) => `onto / merged: ${line}`),
    ];
    return { differences, bound, failure: undefined };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function failureOf(
  tars: readonly Uint8Array[],
  apply: (tar: Uint8Array, number: number) => unknown,
): Promise<string | undefined> {
  for (const [number, tar] of tars.entries()) {
    try {
      await apply(tar, number);
    } catch (error) {
      if (!isVarveError(error)) throw error;
      return `${error.code} at layer ${number}`;
    }
  }
  return undefined;
}
