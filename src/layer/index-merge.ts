/**
 * Puts a layer that was applied alone over the layers below it: the same tree that applying its tar onto them would give, without looking
 * at the tar. Whiteouts and opaque directories do their work and are gone; directories without an entry get the attributes of the lower
 * ones. Where that would not be the same, the layer has to be replayed (index-replay.ts).
 */
import type { IndexNode, IndexPlace, IndexTree } from "../codec/erofs/tree.ts";
import { VarveError } from "../errors/varve-error.ts";
import { countNames, isDirectory, isOpaque, isWhiteout, unmarked, type IndexDirectoryNode } from "./index-tree.ts";
import type { OpenEnds } from "./layer-target.ts";
import { DEFAULT_LIMITS, overLimit, type ApplyLimits } from "./limits.ts";
import { quoteName } from "./names.ts";

/**
 * The layer over its parents. Takes time for the layer only, however large the parents are: the parents' tree is changed and becomes part
 * of the result, and so does the layer's; neither may be used again. Where the answer is `replay`, neither was changed.
 * @param layer as `IndexBuilder` made it alone, or read back from its index; its devices come after the parents'
 * @returns why it has to be replayed, where it has to
 * @throws LAYER_LIMIT; INDEX_INVALID when `open` names directories that the layer does not have
 */
export function mergeLayer(
  parent: IndexTree,
  layer: IndexTree,
  open: OpenEnds,
  limits: ApplyLimits = {},
): { readonly tree: IndexTree } | { readonly replay: string } {
  if (open.replay !== undefined) return { replay: open.replay };
  const lower = rootOf(parent);
  const upper = rootOf(layer);
  const implied = new Set(open.implied.map((path) => directoryAt(upper, path)));
  const { indexNames: most } = { ...DEFAULT_LIMITS, ...limits };
  if (countNames(parent) + countNames(layer) > most) throw overLimit("names in a tree of layers", most);
  const obstacle = isOpaque(upper) ? undefined : obstacleTo(lower, upper, implied, "");
  if (obstacle !== undefined) return { replay: obstacle };
  new Merge(implied, parent.devices.length).run(lower, upper);
  return { tree: { root: parent.root, devices: [...parent.devices, ...layer.devices] } };
}

/** A directory without an entry that is none in lower layers: content of the layer went elsewhere, or nowhere. */
function obstacleTo(
  lower: IndexDirectoryNode,
  upper: IndexDirectoryNode,
  implied: ReadonlySet<IndexNode>,
  path: string,
): string | undefined {
  for (const [name, node] of upper.children) {
    if (!isDirectory(node)) continue;
    const below = lower.children.get(name);
    if (below === undefined) continue;
    const here = path === "" ? name : `${path}/${name}`;
    if (!isDirectory(below)) {
      if (implied.has(node)) return `${quoteName(here)} is no directory in a lower layer`;
      continue;
    }
    // What is in a hidden directory has nothing to do with lower ones.
    const found = isOpaque(node) ? undefined : obstacleTo(below, node, implied, here);
    if (found !== undefined) return found;
  }
  return undefined;
}

class Merge {
  readonly #implied: ReadonlySet<IndexNode>;
  readonly #firstDevice: number;
  readonly #shifted = new Set<IndexNode>();

  constructor(implied: ReadonlySet<IndexNode>, firstDevice: number) {
    this.#implied = implied;
    this.#firstDevice = firstDevice;
  }

  /** Both directories are the same one of the result; it is the lower node. */
  run(lower: IndexDirectoryNode, upper: IndexDirectoryNode): void {
    if (!this.#implied.has(upper)) describe(lower, upper);
    if (isOpaque(upper)) {
      this.#settle(upper);
      lower.children = upper.children;
      return;
    }
    for (const [name, node] of upper.children) {
      const below = lower.children.get(name);
      if (isWhiteout(node)) lower.children.delete(name);
      else if (!isDirectory(node)) lower.children.set(name, this.#place(node));
      else if (isDirectory(below)) this.run(below, node);
      else if (this.#adopt(node)) lower.children.set(name, node);
    }
  }

  /** A directory that lower layers do not have. @returns false when nothing is there: it only held whiteouts */
  #adopt(node: IndexDirectoryNode): boolean {
    node.xattrs = unmarked(node.xattrs);
    this.#settle(node);
    return node.children.size > 0 || !this.#implied.has(node);
  }

  /** Children of a directory in which lower layers have nothing. */
  #settle(node: IndexDirectoryNode): void {
    for (const [name, child] of node.children) {
      if (isWhiteout(child)) node.children.delete(name);
      else if (!isDirectory(child)) this.#place(child);
      else if (!this.#adopt(child)) node.children.delete(name);
    }
  }

  /** The layer's devices come after the parents'. A file with several names is met several times. */
  #place(node: IndexNode): IndexNode {
    const { place } = node;
    if (place === undefined || this.#firstDevice === 0 || this.#shifted.has(node)) return node;
    this.#shifted.add(node);
    node.place = shifted(place, this.#firstDevice);
    return node;
  }
}

function shifted({ device, offset }: IndexPlace, by: number): IndexPlace {
  return { device: device + by, offset };
}

/** A directory that is there takes the attributes of its entry. */
function describe(lower: IndexDirectoryNode, upper: IndexDirectoryNode): void {
  const { mode, uid, gid, modifiedAt } = upper;
  Object.assign(lower, { mode, uid, gid, modifiedAt, xattrs: unmarked(upper.xattrs) });
}

function rootOf({ root }: IndexTree): IndexDirectoryNode {
  if (isDirectory(root)) return root;
  throw new VarveError("INDEX_INVALID", "the root of the index is no directory");
}

function directoryAt(root: IndexDirectoryNode, path: string): IndexNode {
  let node = root;
  for (const name of path === "" ? [] : path.split("/")) {
    const child = node.children.get(name);
    if (!isDirectory(child)) throw new VarveError("INDEX_INVALID", `the index has no directory ${quoteName(path)}`);
    node = child;
  }
  return node;
}
