/**
 * Four users of one store at once, for minutes: random pulls, removals, tags, collections, prunes and kills over images that share
 * layers, over a line that breaks now and then. At the end the store is what the users' models say, `fsck` finds nothing, and when all
 * names are taken out nothing is left over.
 */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { collectGarbage, removeImages } from "../../src/index.ts";
import { createRng } from "../kit/images/rng.ts";
import { startFaultProxy } from "../kit/faults/fault-proxy.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { soundnessFaults } from "../faults/lib/judge.ts";
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
  const workers = owners.map(
    (owner) => new Worker({ owner, host, root, home, images: images.get(owner)!, rng: rng.fork(), killing: 0.15 }),
  );
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
  return [...workers.flatMap(({ failures }) => failures), ...(await finalFaults(root))];
}

/** The store is sound, and empties when all names go: what the killed have left as well. */
async function finalFaults(root: string): Promise<string[]> {
  const faults: string[] = [];
  {
    await using varve = await openAt(root, { readOnly: true });
    faults.push(...(await soundnessFaults(varve)));
  }
  await using varve = await openAt(root);
  const names = (await varve.store.images.list()).map(({ name }) => name);
  await removeImages(varve, names);
  await collectGarbage(varve, { partialsOlderThanMs: 0 });
  for (const folder of ["blobs/sha256", "ingest"]) {
    for (const name of await readdir(join(root, folder))) faults.push(`${folder}/${name} was left over`);
  }
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
