/**
 * A process at work on a store's snapshots, for tests that kill it: `node snapshot-child.ts <job as JSON>`. It prints one word a line as it
 * goes, so that nobody has to guess how far it got.
 */
import { writeSync } from "node:fs";
import { isVarveError } from "../../../src/errors/varve-error.ts";
import { CopyDriver } from "../../../src/snapshot/copy/driver.ts";
import { Snapshots } from "../../../src/snapshot/service.ts";
import { sweepSnapshots } from "../../../src/snapshot/sweep.ts";
import { openStore } from "../../../src/store/store.ts";
import { createRng } from "../images/rng.ts";
import { layeredImage, type LayerOfImage } from "./layered-image.ts";
import type { SnapshotJob } from "./snapshot-process.ts";

const job = JSON.parse(process.argv[2]!) as SnapshotJob;

function say(word: string): void {
  writeSync(1, `${word}\n`);
}

/** As a crash does it: no handler runs, nothing is flushed. */
function die(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

const store = await openStore(job.root, { sync: false });
const driver = new CopyDriver(store);
const snapshots = new Snapshots({
  store,
  driver,
  sync: false,
  step: (step) => {
    if (step === job.dieAt) die();
  },
});

switch (job.act) {
  case "prepare":
    await snapshots.prepare(job.key ?? "", job.parent);
    break;
  case "commit":
    await snapshots.commit(job.name ?? "", job.key ?? "", job.parent === undefined ? {} : { parent: job.parent });
    break;
  case "remove":
    await snapshots.remove(job.key ?? "");
    break;
  case "unpack":
    await unpack(layeredImage(job.layers ?? 1, job.seed));
    break;
  case "stage": {
    await using _staged = await snapshots.stage(layeredImage(1)[0]!.diffId);
    say("staged");
    setInterval(() => {}, 1 << 30);
    await new Promise(() => {});
    break;
  }
  case "churn":
    await churn();
    break;
  case "sweep":
    for (let round = 0; round < (job.rounds ?? 1); round++) await sweepSnapshots({ store, drivers: [driver] });
    break;
}
say("done");
await store.close();

/** As a pull does it: lease, look, stage, commit in order; who was second takes what is there. */
async function unpack(layers: readonly LayerOfImage[]): Promise<void> {
  await using lease = await store.leases.create();
  await lease.add(...layers.flatMap(({ diffId, chainId }) => [diffId, chainId]));
  for (const [index, { diffId, chainId, open }] of layers.entries()) {
    if (await snapshots.has(chainId)) continue;
    await using staged = await snapshots.stage(diffId);
    const parent = layers[index - 1]?.chainId;
    try {
      await snapshots.commit(chainId, staged.key, { tar: open, ...(parent !== undefined && { parent }) });
      say("committed");
    } catch (error) {
      if (!isVarveError(error, "SNAPSHOT_EXISTS")) throw error;
      say("second");
    }
  }
}

async function churn(): Promise<void> {
  const rng = createRng(job.seed ?? 1);
  for (let round = 0; round < (job.rounds ?? 1); round++) {
    if (rng.int(3) === 0) await sweepSnapshots({ store, drivers: [driver] });
    else await unpack(layeredImage(1 + rng.int(4), rng.int(2)));
  }
}
