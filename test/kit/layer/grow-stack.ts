/**
 * Grows a stack of hostile layers, and holds it at each step to what must be true of layers in overlay form: merged, they are the tree
 * that applying them in turn gives; each passes its check against its tar; and what is refused when it is applied is refused, with the same code, when it is unpacked or bound.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isVarveError } from "../../../src/errors/varve-error.ts";
import { checkTree } from "../../../src/layer/check-tree.ts";
import { packTree } from "../images/pack-tree.ts";
import { createRng } from "../images/rng.ts";
import { diffTrees } from "../trees/diff-trees.ts";
import { hostileLayer } from "../trees/hostile-layers.ts";
import { readTree, type TreeEntry } from "../trees/read-tree.ts";
import type { TreeNode } from "../trees/tree-node.ts";
import { applyAll, piecesOf } from "./apply-all.ts";
import { bindLayer, readMerged, type BoundLayer, type OverlayLayersOptions } from "./overlay-layers.ts";

const MAX_LAYERS = 8;

export interface GrownStack {
  /** How many layers became part of the stack, how many of them had to be applied onto their parents, how many were refused. */
  readonly layers: number;
  readonly replayed: number;
  readonly refused: number;
}

/**
 * @param base an empty directory @param tries layers to try; those that are refused are left out of the stack
 * @throws Error that shows the layers and what differs
 */
export async function growStack(
  base: string,
  seed: number,
  tries: number,
  options: OverlayLayersOptions = {},
): Promise<GrownStack> {
  const rng = createRng(seed);
  const stack: TreeNode[][] = [];
  const bound: BoundLayer[] = [];
  let refused = 0;
  for (let index = 0; index < tries && stack.length < MAX_LAYERS; index++) {
    const layer = hostileLayer(rng);
    const wanted = await outcomeOf(() => applied(join(base, `flat${index}`), [...stack, layer]));
    const seen = await outcomeOf(() => bindLayer(join(base, `layer${index}`), layer, bound, options));
    const faults = typeof wanted === "string" || typeof seen === "string" ? differ(wanted, seen) : [];
    if (typeof wanted !== "string" && typeof seen !== "string") {
      bound.unshift(seen);
      faults.push(...diffTrees(await readMerged(bound, options), wanted));
      if (seen.replayed === undefined) faults.push(...(await checked(bound, layer, options)));
    }
    if (faults.length > 0)
      throw new Error([`seed ${seed}`, ...faults, show(seen), ...[...stack, layer].map(describe)].join("\n"));
    if (typeof wanted === "string") refused++;
    else stack.push(layer);
  }
  return { layers: stack.length, replayed: bound.filter(({ replayed }) => replayed !== undefined).length, refused };
}

/** What came of it, or the code of the error. */
async function outcomeOf<T>(run: () => Promise<T>): Promise<T | string> {
  try {
    return await run();
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
}

async function applied(root: string, layers: readonly TreeNode[][]): Promise<readonly TreeEntry[]> {
  mkdirSync(root);
  await applyAll(root, layers);
  return readTree(root);
}

/** Of the nearest layer: in what it differs from its tar. */
async function checked(
  [nearest, ...parents]: readonly BoundLayer[],
  layer: readonly TreeNode[],
  { userXattr = false }: OverlayLayersOptions,
): Promise<string[]> {
  const below = parents.map(({ directory }) => directory);
  const check = await checkTree(piecesOf(packTree(layer)), nearest?.directory ?? "", { parents: below, userXattr });
  const { missing, changed, extra } = check;
  return [
    ...missing.map((path) => `check: ${path} is missing`),
    ...changed,
    ...extra.map((path) => `check: ${path} is too much`),
  ];
}

function differ(wanted: unknown, seen: unknown): string[] {
  const say = (outcome: unknown): string => (typeof outcome === "string" ? outcome : "it was accepted");
  return wanted === seen ? [] : [`unpacked and bound: ${say(seen)}; applied: ${say(wanted)}`];
}

function show(seen: BoundLayer | string): string {
  if (typeof seen === "string") return seen;
  return seen.replayed === undefined ? JSON.stringify(seen.unpacked.open) : `replayed: ${seen.replayed}`;
}

function describe(layer: readonly TreeNode[], index: number): string {
  const lines = layer.map(
    ({ type, path, target }) => `  ${type} ${path}${target === undefined ? "" : ` -> ${target}`}`,
  );
  return [`layer ${index}`, ...lines].join("\n");
}
