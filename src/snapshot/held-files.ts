/**
 * All content that is held unpacked, for the index over it (store/local-sources): layers with an index of their own, trees of layers, and trees
 * of whole images. Only what is committed, for what is active is written to by others.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { walkErofsFiles } from "../codec/erofs/walk-files.ts";
import type { IndexSource } from "../codec/erofs/source.ts";
import { FILES } from "../layer/index-facts.ts";
import { readLayerFacts } from "../layer/read-layer.ts";
import { filesOfTar } from "../layer/tar-files.ts";
import { isDigest, type Digest } from "../oci/digest.ts";
import { ALGORITHMS, StoreLayout } from "../store/layout.ts";
import type { HeldFile, HeldLayer } from "../store/local-sources/held-layer.ts";
import type { SnapshotRecord } from "../store/snapshot-record.ts";
import type { Store } from "../store/store.ts";
import { atCalls } from "../sys/at.ts";
import { walkTree, type Visit } from "../sys/walk-tree.ts";
import { deviceFiles } from "./erofs/layer-store.ts";
import { exists, namesIn } from "./folder.ts";
import type { DriverName } from "./types.ts";

const REGULAR = constants.S_IFREG;
/** What vanishes, is mounted or may not be read is nobody's source. */
const PASSED_OVER: ReadonlySet<string> = new Set(["ENOENT", "EXDEV", "EACCES"]);
const TREE_DRIVERS: ReadonlySet<DriverName> = new Set(["overlay", "copy"]);

/** Those made last first. @throws VarveError as the store's database; NodeJS.ErrnoException */
export async function heldFiles(store: Pick<Store, "root" | "snapshots">): Promise<HeldLayer[]> {
  const layout = new StoreLayout(store.root);
  const layers = await indexedLayers(layout);
  const trees = await heldTrees(store, layout);
  return [...layers, ...trees];
}

async function indexedLayers(layout: StoreLayout): Promise<HeldLayer[]> {
  const found: { readonly made: number; readonly layer: HeldLayer }[] = [];
  for (const algorithm of ALGORITHMS) {
    for (const name of await namesIn(join(layout.layers, algorithm))) {
      const diffId = `${algorithm}:${name}`;
      const one = isDigest(diffId) ? indexedLayer(layout.layer(diffId), diffId) : undefined;
      if (one !== undefined) found.push(one);
    }
  }
  return found.toSorted((a, b) => b.made - a.made).map(({ layer }) => layer);
}

/** Undefined when it is no whole layer. */
function indexedLayer(
  folder: string,
  diffId: Digest,
): { readonly made: number; readonly layer: HeldLayer } | undefined {
  try {
    const facts = readLayerFacts(folder);
    if (facts.diffId !== diffId) return undefined;
    const { mtimeMs } = statSync(join(folder, FILES.facts));
    const layer: HeldLayer = {
      folder,
      form: "devices",
      roots: deviceFiles(facts).map((name) => join(folder, name)),
      diffId,
      whole: { digest: diffId, size: facts.size, root: 0 },
      isCovered: false,
      kept: [diffId],
      isThere: () => exists(join(folder, FILES.facts)),
      files: () =>
        facts.open.replay === undefined ? filesOfIndex(join(folder, FILES.index)) : filesInTar(join(folder, FILES.tar)),
    };
    return { made: mtimeMs, layer };
  } catch {
    return undefined;
  }
}

function* filesOfIndex(path: string): Generator<HeldFile> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const source: IndexSource = {
      size: fstatSync(fd).size,
      read: (position, length) => {
        const bytes = Buffer.allocUnsafeSlow(length);
        return bytes.subarray(0, readSync(fd, bytes, 0, length, position));
      },
    };
    yield* walkErofsFiles(source);
  } finally {
    closeSync(fd);
  }
}

function* filesInTar(path: string): Generator<HeldFile> {
  for (const { path: name, size, start } of filesOfTar(path)) yield { path: name, size, device: 0, start };
}

/** A tree belongs to all snapshots that share it; one of them keeps it. */
async function heldTrees({ snapshots }: Pick<Store, "snapshots">, layout: StoreLayout): Promise<HeldLayer[]> {
  const parents = new Set<number>();
  const owners = new Map<number, SnapshotRecord>();
  for await (const record of snapshots.walk()) {
    if (record.kind !== "committed" || !TREE_DRIVERS.has(record.driver as DriverName)) continue;
    if (record.parent !== undefined) parents.add(record.parent);
    const folder = record.tree ?? record.id;
    // Best the snapshot whose own it is.
    if (!owners.has(folder) || record.id === folder) owners.set(folder, record);
  }
  const folders = [...owners].toSorted(([a], [b]) => b - a);
  return folders.map(([id, record]) => {
    const folder = layout.snapshot(id);
    const root = join(folder, "fs");
    return {
      folder,
      form: "tree",
      roots: [root],
      diffId: record.diffId,
      // The tree of a child has nearly all that its parent's has.
      isCovered: record.driver === "copy" && parents.has(record.id),
      // Others are users' own, which nobody collects.
      kept: isDigest(record.key) ? [record.key] : [],
      isThere: async () => (await snapshots.needsFolder(id)) && (await exists(root)),
      files: () => filesOfTree(root),
    };
  });
}

function* filesOfTree(root: string): Generator<HeldFile> {
  const names: string[] = [];
  let depth = 0;
  const passOver = (code: string): boolean => depth > 0 && PASSED_OVER.has(code);
  for (const { event, name, status } of walkTree(atCalls(), root, { passOver })) {
    if (event === "enter") {
      if (depth++ > 0) names.push(name);
    } else if (event === "leave") {
      if (--depth > 0) names.pop();
    } else if (isSource(name, status)) {
      yield { path: [...names, name].join("/"), size: status.size, device: 0, start: 0 };
    }
  }
}

/** Names that are no text cannot stand in a recipe. */
function isSource(name: string, { mode, size }: Visit["status"]): boolean {
  return (mode & constants.S_IFMT) === REGULAR && size > 0 && name.isWellFormed();
}
