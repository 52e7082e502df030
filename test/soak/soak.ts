/**
 * Four users of one store at once, for minutes: random pulls, removals, tags, collections, prunes and kills over images that share
 * layers, unpacked each user's way, over a line that breaks now and then. At the end the store is what the users' models say, snapshots
 * included, `fsck` finds nothing, and when all names are taken out nothing is left over.
 */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { collectGarbage, removeImages, type Store } from "../../src/index.ts";
import { DRIVER_NAMES } from "../../src/transfer/snapshotter.ts";
import { createRng } from "../kit/images/rng.ts";
import { startFaultProxy } from "../kit/faults/fault-proxy.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { soundnessFaults } from "../faults/lib/judge.ts";
import { committedNames, heldLayers, snapshotLeftovers } from "../faults/lib/snapshot-faults.ts";
import { usableUnpackings } from "../faults/lib/unpacking.ts";
import { openAt } from "../faults/steps/scenes.ts";
import { publishImages } from "./images.ts";
import { Worker } from "./worker.ts";

export interface SoakOptions {
  readonly seed: number;
  readonly dir: string;
  readonly milliseconds: number;
  /** Commands of each worker at most. Default: as many as the time allows. */
  readonly commands?: number;
  /** Default 4. */
  readonly processes?: number;
  readonly layerBytes: number;
  readonly log?: (line: string) => void;
}

const REPORT_EVERY_MS = 60_000;

/** @returns what was wrong, in words */
export async function soak(options: SoakOptions): Promise<readonly string[]> {
  const { seed, dir, milliseconds, commands = Infinity, processes = 4, layerBytes, log = () => {} } = options;
  const rng = createRng(seed);
  const home = join(dir, "home");
  await mkdir(home, { recursive: true });
  await using registry = await startRegistry({ dir: join(dir, "registry") });
  const owners = Array.from({ length: processes }, (_, number) => `p${number}`);
  const images = await publishImages(registry.host, owners, seed, layerBytes);
  const path = /\/blobs\//;
  await using proxy = await startFaultProxy({
    target: registry.host,
    seed,
    rules: [
      { path, method: "GET", probability: 0.05, fault: { kind: "drop", afterBytes: 20_000 } },
      { path, method: "GET", probability: 0.02, fault: { kind: "flip", atByte: 1000 } },
      // Slow enough to be killed in the middle, and met by others at the same blob.
      { path, method: "GET", probability: 0.3, fault: { kind: "slow", bytesPerSecond: 2_000_000 } },
    ],
  });
  const { host } = proxy;
  const root = join(dir, "store");
  const unpackings = await usableUnpackings(join(dir, "probe"), ["copy"]);
  const workers = owners.map((owner, number) => {
    const unpacking = unpackings[(seed + number) % unpackings.length]!;
    const own = { owner, images: images.get(owner)!, unpacking, rng: rng.fork() };
    return new Worker({ ...own, host, root, home, killing: 0.15 });
  });
  const end = performance.now() + milliseconds;
  const work = async (worker: Worker): Promise<void> => {
    for (let done = 0; done < commands && performance.now() < end && worker.failures.length === 0; done++) {
      await worker.act();
    }
  };
  const reporter = setInterval(() => log(reportOf(workers)), REPORT_EVERY_MS);
  try {
    await Promise.all(workers.map(work));
    for (const worker of workers) await worker.settle();
  } finally {
    clearInterval(reporter);
  }
  log(reportOf(workers));
  return [...workers.flatMap(({ failures }) => failures), ...(await finalFaults(root, workers))];
}

/** The store is sound, has unpacked what its names need, and empties when all go: what the killed have left as well. */
async function finalFaults(root: string, workers: readonly Worker[]): Promise<string[]> {
  const faults: string[] = [];
  const images = workers.flatMap((worker) => worker.held());
  {
    await using varve = await openAt(root);
    await collectGarbage(varve, { partialsOlderThanMs: 0 });
  }
  {
    await using varve = await openAt(root, { readOnly: true });
    faults.push(...(await soundnessFaults(varve, new Map(images.flatMap(({ trees }) => Array.from(trees))))));
    faults.push(...(await unpackedFaults(varve.store, workers)));
  }
  await using varve = await openAt(root);
  const names = (await varve.store.images.list()).map(({ name }) => name);
  await removeImages(varve, names);
  await collectGarbage(varve, { partialsOlderThanMs: 0 });
  for (const folder of ["blobs/sha256", "ingest"]) {
    for (const name of await readdir(join(root, folder))) faults.push(`${folder}/${name} was left over`);
  }
  for await (const { key, driver } of varve.store.snapshots.walk()) faults.push(`${driver} ${key} was left over`);
  for (const path of snapshotLeftovers(root)) faults.push(`${path} was left over`);
  return faults;
}

/** What is unpacked is just what names need: of the images that a user has, each his way; of any that one has, perhaps another's way too. */
async function unpackedFaults(store: Store, workers: readonly Worker[]): Promise<string[]> {
  const faults: string[] = [];
  const differ = (what: string, names: Iterable<string>): void => {
    for (const name of names) faults.push(`${what} ${name}`);
  };
  const may = new Set<string>(workers.flatMap((worker) => worker.held().flatMap(({ chain }) => chain)));
  for (const driver of DRIVER_NAMES) {
    const there = new Set(await committedNames(store, driver));
    const users = workers.filter(({ unpacking }) => unpacking.snapshotter === driver);
    const must = new Set<string>(users.flatMap((worker) => worker.held().flatMap(({ chain }) => chain)));
    differ(`${driver} should have`, must.difference(there));
    differ(`${driver} has what no image needs:`, there.difference(may));
  }
  const erofs = await Array.fromAsync(store.snapshots.walk([{ kind: "committed" }], "erofs"));
  const layers = new Set(erofs.map(({ diffId }) => String(diffId)));
  const held = new Set<string>(heldLayers(store.root));
  differ("there should be layer", layers.difference(held));
  differ("there is no need for layer", held.difference(layers));
  return faults;
}

function reportOf(workers: readonly Worker[]): string {
  const sum = (pick: (worker: Worker) => ReadonlyMap<string, number>): string => {
    const total = new Map<string, number>();
    for (const worker of workers)
      for (const [key, count] of pick(worker)) total.set(key, (total.get(key) ?? 0) + count);
    return [...total].map(([key, count]) => `${key} ${count}`).join(", ") || "none";
  };
  const killed = workers.reduce((count, { tally }) => count + tally.killed, 0);
  const names = workers.reduce((count, { model }) => count + model.names().length, 0);
  return `${sum(({ tally }) => tally.commands)}; killed ${killed}; errors: ${sum(({ tally }) => tally.errors)}; images ${names}`;
}
