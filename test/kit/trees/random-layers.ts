/**
 * Stacks of layers as builders make them, at random: a base, then changes of it. What one layer does to one place never
 * depends on the order of its members, so that the outcome is what the image-spec says and no more:
 * {@link expectedTree} tells it.
 */
import type { Rng } from "../images/rng.ts";
import { expectedTree } from "./expected-tree.ts";
import { randomTree, type RandomTreeOptions } from "./random-tree.ts";
import type { TreeEntry } from "./read-tree.ts";
import { directory, file, hardlink, opaque, symlink, whiteout, type TreeNode } from "./tree-node.ts";

export interface RandomLayersOptions extends RandomTreeOptions {
  /** Layers with the base. Default 4. */
  readonly layers?: number;
  /** Changes per layer, about. Default 12. */
  readonly changes?: number;
  /** How many directories above a change are listed again, 0 ... 1. Default 0.8: some builders leave some out. */
  readonly parents?: number;
  /** Hard links to files of lower layers. Default true. */
  readonly lowerLinks?: boolean;
}

/** @returns layers from the lowest up */
export function randomLayers(rng: Rng, options: RandomLayersOptions = {}): TreeNode[][] {
  const { layers: count = 4 } = options;
  const layers: TreeNode[][] = [randomTree(rng.fork(), options)];
  while (layers.length < count) layers.push(changeLayer(rng, layers, options));
  return layers;
}

function changeLayer(
  rng: Rng,
  lower: readonly (readonly TreeNode[])[],
  { changes = 12, parents = 0.8, lowerLinks = true }: RandomLayersOptions,
): TreeNode[] {
  const before = expectedTree(lower);
  const byPath = new Map(before.map((entry) => [entry.path, entry]));
  const touched = new Set<string>();
  const nodes: TreeNode[] = [];
  for (let index = 0; index < changes; index += 1) {
    const entry = rng.pick(before);
    if (isTouched(entry.path, touched)) continue;
    touched.add(entry.path);
    nodes.push(...changeAt(rng, entry, lowerLinks ? before : [], touched, index));
  }
  return [...parentsOf(rng, nodes, byPath, parents), ...nodes];
}

/** A place is taken when it, something above it or something below it changes in this layer already. */
function isTouched(path: string, touched: ReadonlySet<string>): boolean {
  return [...touched].some((other) => other === path || path.startsWith(`${other}/`) || other.startsWith(`${path}/`));
}

function changeAt(
  rng: Rng,
  { path, type }: TreeEntry,
  before: readonly TreeEntry[],
  touched: Set<string>,
  index: number,
): TreeNode[] {
  const fresh = file(path, rng.text(rng.int(3000)), { mode: 0o600, uid: rng.int(100) });
  switch (rng.int(type === "directory" ? 7 : 5)) {
    case 0:
      return [whiteout(path)];
    case 1:
      return [fresh];
    case 2:
      return [symlink(path, "elsewhere")];
    case 3:
      return [directory(path, { mode: 0o750 }), file(`${path}/added ${index}`, "below")];
    case 4:
      return [linkToLower(rng, path, before, touched) ?? fresh];
    case 5:
      return [file(`${path}/added ${index}`, "beside what is there")];
    default:
      return [directory(path, { mode: 0o711 }), opaque(path), file(`${path}/added ${index}`, "alone")];
  }
}

/** A hard link to a file of a lower layer that this layer leaves as it is. */
function linkToLower(rng: Rng, path: string, before: readonly TreeEntry[], touched: Set<string>): TreeNode | undefined {
  const targets = before.filter((entry) => entry.type === "file" && !isTouched(entry.path, touched));
  if (targets.length === 0) return undefined;
  const target = rng.pick(targets);
  touched.add(target.path);
  return hardlink(path, target.path, metadataOf(target));
}

/** Builders list the directories above a change again, as they are; some do not. */
function parentsOf(
  rng: Rng,
  nodes: readonly TreeNode[],
  lower: ReadonlyMap<string, TreeEntry>,
  parents: number,
): TreeNode[] {
  const own = new Set(nodes.map(({ path }) => path));
  const above = new Set(nodes.flatMap(({ path }) => ancestors(path)));
  return [...above].sort().flatMap((path) => {
    const entry = lower.get(path);
    const listed = entry?.type === "directory" && !own.has(path) && rng.chance(parents);
    return listed ? [directory(path, metadataOf(entry))] : [];
  });
}

function ancestors(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}

function metadataOf({ mode, uid, gid, mtime, xattrs }: TreeEntry): Partial<TreeNode> {
  const values = Object.entries(xattrs).map(([name, hex]) => [name, Buffer.from(hex, "hex")]);
  return { mode, uid, gid, mtime, xattrs: Object.fromEntries(values) as Record<string, Buffer> };
}
