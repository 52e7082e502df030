/**
 * What never starting over costs: the time until a resumed pull asks for what is missing, and the journal with its checkpoints
 * next to a pull that records nothing.
 *
 *   npm run bench -- resume [--runs 9] [--partial GIB] [--size MIB] [--dir DIR]
 *
 * Contenders alternate; medians are quoted. Of the partial, half of the runs have its bytes in the page cache and half have not
 * (root only).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { openVarve, pull } from "../../src/index.ts";
import { openStore } from "../../src/store/store.ts";
import { startRegistry, type KitRegistry } from "../../test/kit/registry/registry.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { makeBulkImage, type BulkImage } from "../lib/bulk-image.ts";

const VARVE = join(import.meta.dirname, "../../bin/varve.js");
const MIB = 1 << 20;

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "9" },
      partial: { type: "string", default: "2" },
      size: { type: "string", default: "512" },
      dir: { type: "string" },
    },
  });
  await using own = await tempDir("varve-resume-");
  const dir = values.dir ?? own.path;
  await using registry = await startRegistry({ dir: join(dir, "registry") });
  const runs = Number(values.runs);
  await firstRequest(registry, dir, Number(values.partial) * 1024 * MIB, Math.ceil(runs / 3));
  await overhead(registry, dir, Number(values.size) * MIB, runs);
}

/** Milliseconds until the program has ended. */
async function timed(args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [VARVE, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`varve ${args.join(" ")} ended with ${code}`);
  return performance.now() - startedAt;
}

async function firstRequest(registry: KitRegistry, dir: string, partial: number, runs: number): Promise<void> {
  const image = await makeBulkImage(registry.dir, "large", "1", partial + 64 * MIB);
  const cold: number[] = [];
  const warm: number[] = [];
  const whole: number[] = [];
  for (let run = 0; run < runs * 2; run++) {
    const root = join(dir, "partial");
    await leavePartial(root, image, partial);
    const isCold = run % 2 === 0 && process.getuid?.() === 0;
    if (isCold) await dropCaches();
    registry.clearRequests();
    const startedAt = performance.now();
    const pulling = timed(["--root", root, "-q", "pull", "--no-unpack", `${registry.host}/large:1`]);
    while (!registry.requests.some(({ path }) => path.endsWith(image.digest))) await sleep(1);
    (isCold ? cold : warm).push(performance.now() - startedAt);
    const sent = () => registry.requests.filter(({ path }) => path.endsWith(image.digest));
    whole.push(await pulling);
    const bytes = sent().reduce((sum, request) => sum + request.sent, 0);
    if (bytes !== 64 * MIB) throw new Error(`${bytes} bytes were fetched, ${64 * MIB} were missing`);
    await rm(root, { recursive: true });
  }
  console.log(`\nresuming with ${partial / MIB} MiB here and 64 MiB missing, from the start of the program`);
  row("first request, page cache dropped", cold);
  row("first request, page cache warm", warm);
  row("whole pull", whole);
}

async function leavePartial(root: string, image: BulkImage, bytes: number): Promise<void> {
  await using store = await openStore(root);
  const place = await store.content.ingest(image);
  if (!("commit" in place)) throw new Error("the partial blob is whole");
  await using ingest = place;
  let position = 0;
  for await (const chunk of createReadStream(image.path, { end: bytes - 1, highWaterMark: 4 * MIB })) {
    await ingest.write(position, chunk as Buffer);
    position += (chunk as Buffer).length;
  }
}

async function dropCaches(): Promise<void> {
  await runOk("sync", [], { timeoutMs: 600_000 });
  await writeFile("/proc/sys/vm/drop_caches", "1");
}

async function overhead(registry: KitRegistry, dir: string, size: number, runs: number): Promise<void> {
  await makeBulkImage(registry.dir, "plain", "1", size);
  const plain: Cost[] = [];
  const kept: Cost[] = [];
  const cost = async (checkpointBytes: number | undefined): Promise<Cost> => {
    const root = join(dir, "overhead");
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    {
      const store = checkpointBytes === undefined ? {} : { checkpointBytes };
      await using varve = await openVarve({ root, store });
      await pull(varve, `${registry.host}/plain:1`, { unpack: false });
    }
    const { user, system } = process.cpuUsage(cpu);
    const measured = { wall: performance.now() - startedAt, cpu: (user + system) / 1000 };
    await rm(root, { recursive: true });
    await runOk("sync", [], { timeoutMs: 600_000 });
    return measured;
  };
  await cost(undefined);
  for (let run = 0; run < runs; run++) {
    // Who goes first changes, so that what the one leaves to the other evens out.
    for (const turn of run % 2 === 0 ? ["plain", "kept"] : ["kept", "plain"]) {
      if (turn === "plain") plain.push(await cost(Infinity));
      else kept.push(await cost(undefined));
    }
  }
  console.log(
    `\njournal and checkpoints on a layer of ${size / MIB} MiB (CPU includes the registry's, in the same process)`,
  );
  for (const kind of ["wall", "cpu"] as const) {
    const [without, withJournal] = [plain.map((each) => each[kind]), kept.map((each) => each[kind])];
    row(`${kind}, nothing recorded`, without);
    row(`${kind}, as usual`, withJournal);
    const extra = (pick: (times: readonly number[]) => number) =>
      ((pick(withJournal) / pick(without) - 1) * 100).toFixed(1);
    console.log(`  extra: ${extra(median)} % of the medians, ${extra((times) => Math.min(...times))} % of the best`);
  }
}

interface Cost {
  /** Milliseconds. */
  readonly wall: number;
  readonly cpu: number;
}

function row(name: string, times: readonly number[]): void {
  if (times.length === 0) return;
  const show = (value: number): string => value.toFixed(0).padStart(7);
  console.log(`  ${name.padEnd(36)} median ${show(median(times))} ms, best ${show(Math.min(...times))} ms`);
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}
