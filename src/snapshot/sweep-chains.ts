/** Committed layers of images that nobody wants, children before their parents (see sweep.ts). */
import { isVarveError } from "../errors/varve-error.ts";
import { isDigest, type Digest } from "../oci/digest.ts";
import { imageChanges } from "../store/images.ts";
import type { SweepContext } from "./sweep-context.ts";
import { bytesOf, type SweptCount } from "./sweep-count.ts";

/** Of a snapshot all that the order of removal needs; a store may have many. */
interface Node {
  readonly key: string;
  readonly driver: string;
  readonly parent: number | undefined;
  readonly tree: number | undefined;
  readonly isCandidate: boolean;
  children: number;
}

export async function sweepChains(context: SweepContext): Promise<SweptCount> {
  const { dryRun, wanted, wouldGo, signal } = context;
  const nodes = await readNodes(context);
  const folders = countFolders(nodes);
  const leaves = [...nodes].filter(([, node]) => isFree(node)).map(([id]) => id);
  const swept = { count: 0, bytes: 0 };
  for (let id = leaves.pop(); id !== undefined && wanted.broken.size === 0; id = leaves.pop()) {
    signal?.throwIfAborted();
    const node = nodes.get(id)!;
    const own = node.tree === undefined ? [id] : [id, node.tree];
    // Of what no other snapshot shares, as far as is known before it goes.
    const freed = own.filter((folder) => folders.get(folder) === 1);
    const bytes = await bytesOfAll(context, freed);
    if (!(dryRun ? await wouldGoToo(context, node) : await remove(context, id, node))) continue;
    for (const folder of own) folders.set(folder, (folders.get(folder) ?? 1) - 1);
    wouldGo.add(id);
    swept.count++;
    swept.bytes += bytes;
    const parent = node.parent === undefined ? undefined : nodes.get(node.parent);
    if (parent === undefined) continue;
    parent.children--;
    if (isFree(parent)) leaves.push(node.parent!);
  }
  return swept;
}

function isFree({ isCandidate, children }: Node): boolean {
  return isCandidate && children === 0;
}

async function readNodes({ store, stepsOf, wanted, wouldGo }: SweepContext): Promise<Map<number, Node>> {
  const nodes = new Map<number, Node>();
  for await (const { id, driver, key, kind, parent, tree } of store.snapshots.walk()) {
    if (wouldGo.has(id)) continue;
    const isCandidate = kind === "committed" && stepsOf.has(driver) && isDigest(key) && !wanted.has(key);
    nodes.set(id, { key, driver, parent, tree, isCandidate, children: 0 });
  }
  for (const { parent } of nodes.values()) {
    const on = parent === undefined ? undefined : nodes.get(parent);
    if (on !== undefined) on.children++;
  }
  return nodes;
}

/** How many snapshots need each folder, their own or one that they share. */
function countFolders(nodes: ReadonlyMap<number, Node>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const [id, { tree }] of nodes) {
    for (const folder of tree === undefined ? [id] : [id, tree]) counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return counts;
}

async function bytesOfAll({ layout }: SweepContext, folders: readonly number[]): Promise<number> {
  let bytes = 0;
  for (const id of folders) bytes += await bytesOf(layout.snapshot(id));
  return bytes;
}

async function wouldGoToo({ store, unfinishedMs }: SweepContext, { key }: Node): Promise<boolean> {
  return !(await store.leases.isLeased(key as Digest, unfinishedMs));
}

/** @returns false when it is needed after all */
async function remove(context: SweepContext, id: number, { key, driver }: Node): Promise<boolean> {
  const { store, stepsOf, wanted, unfinishedMs } = context;
  using lock = store.locks.trySnapshot(id);
  if (lock === undefined) return false;
  const chainId = key as Digest;
  try {
    // Asked before each try: images that changed meanwhile may want what none wanted at first.
    while (!wanted.has(chainId) && wanted.broken.size === 0) {
      const removed = await stepsOf.get(driver)!.takeOutUnless(key, id, (connection) => {
        const isStale = imageChanges(connection) !== wanted.changes;
        return isStale || store.leases.isLeasedIn(connection, chainId, unfinishedMs);
      });
      if (removed !== undefined) return true;
      if ((await store.images.changes()) === wanted.changes) return false;
      await wanted.update();
    }
    return false;
  } catch (error) {
    // Somebody has built on it, or removed it.
    if (isVarveError(error, "SNAPSHOT_STATE") || isVarveError(error, "SNAPSHOT_NOT_FOUND")) return false;
    throw error;
  }
}
