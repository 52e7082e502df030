/**
 * A process at work on a store, for tests that kill it: `node store-child.ts <job as JSON>`. It prints one word a line as it
 * goes, so that nobody has to guess how far it got.
 */
import { writeSync } from "node:fs";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import { openStore } from "../../../src/store/store.ts";
import type { Ingest } from "../../../src/store/types.ts";
import { createRng } from "../images/rng.ts";
import { sample } from "./sample.ts";
import { twoContents } from "./two-contents.ts";
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

let nth = job.nth ?? 1;
const store = await openStore(job.root, {
  readOnly: job.act === "list",
  onStep: (step) => {
    if (step === job.dieAt && --nth === 0) die();
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
  case "put":
    await putLeased(job.name ?? "", 0, 1);
    break;
  case "churn":
    await churn();
    say("done");
    break;
  case "collect":
    for (let round = 0; round < (job.rounds ?? 1); round++) {
      const { blobs } = await store.collectGarbage({ partialsOlderThanMs: 0 });
      say(`collected:${blobs.count}`);
    }
    break;
  case "disk":
  case "discard-disk":
    await makeDisk();
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
      await hold();
    }
    if (job.act === "discard") await ingest.discard();
    else await ingest.commit({ digest, size });
    await ingest[Symbol.asyncDispose]();
    say("done");
    break;
  }
}
await store.close();

async function hold(): Promise<never> {
  say("holding");
  setInterval(() => {}, 1 << 30);
  return new Promise(() => {});
}

/** A disk of two contents; see `twoContents`. */
async function makeDisk(): Promise<void> {
  const { key, contents } = twoContents({ bytes, digest, size });
  const disk = await store.disks.open({ key, size }, { onWait: () => say("waiting") });
  if (!("commit" in disk)) return say("present");
  for (const [number, content] of contents.entries()) {
    if (disk.isDone(content)) {
      say(`done:${number}`);
      continue;
    }
    await using window = await disk.window(content);
    say(`resumed:${window.front}`);
    const end = number === 1 ? (job.writeUpTo ?? content.size) : content.size;
    await window.write(window.front, content.bytes.subarray(window.front, end));
    if (end < content.size) {
      await window.checkpoint();
      await hold();
    }
    await window.commit(content);
  }
  if (job.act === "disk") await disk.commit(contents);
  else await disk.discard();
  await disk[Symbol.asyncDispose]();
  say("done");
}

/** Puts images whose parts others put, share and take out at the same time, as pulls and removals do it. */
async function churn(): Promise<void> {
  const rng = createRng(job.seed ?? 1);
  for (let round = 0; round < (job.rounds ?? 1); round++) {
    const name = `a.example/churn:${rng.int(5)}`;
    if (rng.int(3) === 0) {
      const known = await store.images.get(name);
      if (known !== undefined) await store.images.deleteUnchanged([known]);
      continue;
    }
    await putLeased(name, rng.int(3), rng.int(3));
  }
}

async function putLeased(name: string, ...layers: readonly number[]): Promise<void> {
  await using lease = await store.leases.create();
  const put = async (mediaType: string, bytes: Buffer): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    await lease.add(descriptor.digest);
    const place = await store.content.ingest(descriptor);
    if ("commit" in place) {
      await using ingest = place;
      await ingest.write(0, bytes);
      await ingest.commit(descriptor);
    }
    return descriptor;
  };
  const parts: Descriptor[] = [];
  for (const layer of layers) parts.push(await put(MEDIA_TYPES.ociLayer, Buffer.from(`churned layer ${layer}`)));
  const config = await put(MEDIA_TYPES.ociConfig, Buffer.from(`churned config ${layers.join(" ")}`));
  const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: parts };
  const root = await put(MEDIA_TYPES.ociManifest, Buffer.from(JSON.stringify(manifest)));
  await store.images.put({ name, descriptor: root });
}
