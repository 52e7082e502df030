/** The commands that are cut off, and what must be true of the store's names whenever that happens. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PublishedImage } from "../lib/published-image.ts";
import { IMPORT, IMPORT_FLAGS, type PublishedMachine } from "../lib/machine-images.ts";
import { flagsOf, type Unpacking } from "../lib/unpacking.ts";
import { referenceOf, type Scenes, type StoreState } from "./scenes.ts";

export interface Operation {
  /** `pull`, `gc` ... */
  readonly command: string;
  readonly title: string;
  readonly store: StoreState;
  /** Default: varve. */
  readonly program?: string;
  /** Whether it is about snapshots alone, so that there is nothing to it where nothing is unpacked. Default false. */
  readonly ofSnapshots?: boolean;
  /** Whether it makes layers that are held unpacked or not at all. Default false. */
  readonly isUnpacked?: boolean;
  args(scenes: Scenes, dir: string, unpacking: Unpacking): readonly string[];
  /** Whether it is about a machine's image, of which nothing is unpacked. Default false. */
  readonly ofMachines?: boolean;
  /** Beside what all get. */
  readonly env?: Readonly<Record<string, string>>;
  /** The images that it is about. Default: the first and the second. */
  readonly images?: (scenes: Scenes) => readonly PublishedImage[];
  /** The names that are there before and after it. */
  names(scenes: Scenes): { readonly before: readonly string[]; readonly after: readonly string[] };
}

const ALIAS = "registry.example/alias:1";
const WRITER = fileURLToPath(new URL("write-snapshot.ts", import.meta.url));

function varve(...args: readonly string[]): string[] {
  return ["--json", "--progress", "none", ...args];
}

/** What pulls find. */
const HELD: Partial<Record<StoreState, (scenes: Scenes) => PublishedImage>> = {
  first: ({ first }) => first,
  old: ({ old }) => old,
  pieces: ({ old }) => old,
  base: ({ deltaBase }) => deltaBase,
  "part of a delta": ({ deltaBase }) => deltaBase,
  machine: ({ machine }) => machine,
};

const pullOf = (
  title: string,
  store: StoreState,
  pick: (scenes: Scenes) => PublishedImage,
  ...flags: readonly string[]
): Operation => ({
  command: "pull",
  title,
  store,
  args: (scenes, _, unpacking) => varve(...flagsOf(unpacking), "pull", ...flags, referenceOf(scenes, pick(scenes))),
  names: (scenes) => {
    const held = HELD[store]?.(scenes);
    const before = held === undefined ? [] : [referenceOf(scenes, held)];
    return { before, after: [...before, referenceOf(scenes, pick(scenes))] };
  },
});

export const OPERATIONS: readonly Operation[] = [
  pullOf("a first pull", "empty", ({ first }) => first),
  machinePull("an update of a disk", "machine", ({ machineUpdate }) => machineUpdate),
  {
    command: "disk import",
    title: "an import of a disk",
    store: "empty",
    ofMachines: true,
    env: { SOURCE_DATE_EPOCH: String(IMPORT.sourceDateEpoch) },
    args: (scenes) => [...varve("disk", "import", ...IMPORT_FLAGS), ...importOf(scenes)],
    images: ({ machine }) => [machine],
    names: (scenes) => ({ before: [], after: [referenceOf(scenes, scenes.machine)] }),
  },
  deltaPull("a pull of a delta image", "base", ({ delta }) => delta),
  deltaPull("a pull of a delta image that goes on", "part of a delta", ({ delta }) => delta),
  deltaPull("a plain pull with deltas", "base", ({ deltaTarget }) => deltaTarget, "--delta", "always"),
  pullOf("a pull that shares layers", "first", ({ second }) => second),
  pullOf("a pull that goes on", "partial", ({ first }) => first),
  pullOf("a pull of what is not unpacked", "blobs", ({ first }) => first),
  machinePull("a first pull of a disk", "empty", ({ machine }) => machine),
  machinePull("a pull of a disk that goes on", "part of a machine", ({ machine }) => machine),
  { ...pullOf("an update of pieces", "old", ({ update }) => update), images: updated },
  { ...pullOf("an update that goes on", "pieces", ({ update }) => update), images: updated },
  {
    command: "unpack",
    title: "an unpack",
    store: "first",
    args: (scenes, dir) => varve("unpack", referenceOf(scenes, scenes.first), join(dir, "tree")),
    names: (scenes) => same(referenceOf(scenes, scenes.first)),
  },
  {
    command: "gc",
    title: "a collection",
    store: "garbage",
    args: () => varve("gc", "--partials-older-than", "0"),
    names: (scenes) => same(referenceOf(scenes, scenes.first)),
  },
  {
    command: "rm",
    title: "a removal",
    store: "both",
    args: (scenes) => varve("rm", referenceOf(scenes, scenes.second)),
    names: (scenes) => {
      const first = referenceOf(scenes, scenes.first);
      return { before: [first, referenceOf(scenes, scenes.second)], after: [first] };
    },
  },
  {
    command: "tag",
    title: "a tag",
    store: "first",
    args: (scenes) => varve("tag", referenceOf(scenes, scenes.first), ALIAS),
    names: (scenes) => {
      const first = referenceOf(scenes, scenes.first);
      return { before: [first], after: [first, ALIAS] };
    },
  },
  {
    command: "commit",
    title: "a snapshot of one's own",
    store: "first",
    program: WRITER,
    ofSnapshots: true,
    args: (scenes, _, { snapshotter }) => [snapshotter, scenes.first.chain.at(-1) ?? ""],
    names: (scenes) => same(referenceOf(scenes, scenes.first)),
  },
];

function machinePull(title: string, store: StoreState, pick: (scenes: Scenes) => PublishedMachine): Operation {
  const images = (scenes: Scenes): PublishedImage[] => [...new Set([scenes.machine, pick(scenes)])];
  return { ...pullOf(title, store, pick), ofMachines: true, images };
}

function deltaPull(
  title: string,
  store: StoreState,
  pick: (scenes: Scenes) => PublishedImage,
  ...flags: string[]
): Operation {
  const images = (scenes: Scenes): PublishedImage[] => [scenes.deltaBase, pick(scenes)];
  return { ...pullOf(title, store, pick, ...flags), isUnpacked: true, images };
}

/** The words of a command line that imports the machine's disk under its name. */
function importOf(scenes: Scenes): string[] {
  return [scenes.machine.machine.source, referenceOf(scenes, scenes.machine)];
}

/** Each operation with each way of unpacking in turn, as many times as wanted. */
export function takeTurns(
  operations: readonly Operation[],
  unpackings: readonly Unpacking[],
  seed: number,
  count: number,
): { readonly operation: Operation; readonly unpacking: Unpacking }[] {
  return Array.from({ length: count }, (_, id) => {
    const operation = operations[id % operations.length]!;
    const fit = unpackings.filter(({ snapshotter }) =>
      snapshotter === "none"
        ? operation.ofSnapshots !== true && operation.isUnpacked !== true
        : operation.ofMachines !== true,
    );
    const unpacking = fit[(Math.floor(id / operations.length) + id + seed) % fit.length] ?? unpackings[0]!;
    return { operation, unpacking };
  });
}

/** @returns what an operation is about */
export function imagesOf({ images }: Operation, scenes: Scenes): readonly PublishedImage[] {
  return images?.(scenes) ?? [scenes.first, scenes.second];
}

function updated({ old, update }: Scenes): readonly PublishedImage[] {
  return [old, update];
}

function same(name: string): { before: readonly string[]; after: readonly string[] } {
  return { before: [name], after: [name] };
}
