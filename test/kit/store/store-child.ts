/**
 * A process at work on a store, for tests that kill it: `node store-child.ts <job as JSON>`. It prints one word a line as it
 * goes, so that nobody has to guess how far it got.
 */
import { writeSync } from "node:fs";
import { openStore } from "../../../src/store/store.ts";
import type { Ingest } from "../../../src/store/types.ts";
import { sample } from "./sample.ts";
import type { StoreJob } from "./store-process.ts";

const job = JSON.parse(process.argv[2]!) as StoreJob;
const { bytes, digest, size } = sample(job.size ?? 0, job.seed);

function say(word: string): void {
  writeSync(1, `${word}\n`);
}

/** As a crash does it: no handler runs, nothing is flushed. */
function die(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

async function writeMissing(ingest: Ingest, end: number): Promise<void> {
  let position = 0;
  for (const done of [...ingest.done, { start: end, end }]) {
    if (done.start > position) await ingest.write(position, bytes.subarray(position, Math.min(done.start, end)));
    position = Math.max(position, done.end);
  }
}

const store = await openStore(job.root, {
  readOnly: job.act === "list",
  onStep: (step) => {
    if (step === job.dieAt) die();
  },
});

switch (job.act) {
  case "open":
    await store.images.list();
    await store.images.put({ name: job.name ?? "", descriptor: { mediaType: "text/plain", digest, size } });
    say("opened");
    break;
  case "list":
    for (const { name } of await store.images.list()) say(name);
    break;
  case "ingest":
  case "hold":
  case "discard": {
    const ingest = await store.content.ingest({ digest, size }, { onWait: () => say("waiting") });
    if (!("commit" in ingest)) {
      say("present");
      break;
    }
    say(`resumed:${ingest.resumed.reduce((sum, range) => sum + range.end - range.start, 0)}`);
    await writeMissing(ingest, job.writeUpTo ?? size);
    if (job.act === "hold") {
      await ingest.checkpoint();
      say("holding");
      setInterval(() => {}, 1 << 30);
      await new Promise(() => {});
    }
    if (job.act === "discard") await ingest.discard();
    else await ingest.commit({ digest, size });
    await ingest[Symbol.asyncDispose]();
    say("done");
    break;
  }
}
await store.close();
