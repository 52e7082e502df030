/**
 * What it costs to give out blobs that are here: `varve serve` next to docker-registry and nginx with the same files on loopback, memory and
 * latency under many clients, and what a daemon costs that nobody asks for anything.
 *
 *   npm run bench -- serve [--part blobs,clients,idle] [--size 500] [--rounds 5] [--clients 200] [--seconds 20] [--plain]
 *
 * Contenders alternate, load comes from processes of its own and is not counted, medians are quoted. nginx with sendfile is the floor.
 * `--plain` adds a daemon without foreign calls, which reads and writes what it sends.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { makeContent, type BenchContent } from "../lib/serve/content.ts";
import { NAME, startDocker, startNginx, startVarve, type Contender } from "../lib/serve/contenders.ts";
import { measureIdle } from "../lib/serve/idle.ts";
import type { HeadTimes } from "../lib/serve/head-main.ts";
import { getAll, headsDuring } from "../lib/serve/loads.ts";
import { cpuSeconds, forgetPeaks, peakMiB } from "../lib/serve/process-cost.ts";

const GOALS = { cpuOfRegistry: 1, peakMiB: 400, headP99: 20 };
/** Of the clients, these ask for heads. */
const HEAD_SHARE = 0.2;
const HEAD_EVERY_MS = 100;
/** How long heads are asked for before anybody else asks for anything. */
const ALONE_MS = 5000;

interface Settings {
  readonly rounds: number;
  readonly clients: number;
  readonly seconds: number;
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      part: { type: "string", default: "blobs,clients,idle" },
      size: { type: "string", default: "500" },
      rounds: { type: "string", default: "5" },
      clients: { type: "string", default: "200" },
      seconds: { type: "string", default: "20" },
      plain: { type: "boolean", default: false },
    },
  });
  const parts = values.part.split(",");
  const settings = {
    rounds: Number(values.rounds),
    clients: Number(values.clients),
    seconds: Number(values.seconds),
  };
  await using dir = await tempDir("varve-serve-");
  await using stack = new AsyncDisposableStack();
  const content = await makeContent(join(dir.path, "content"), Number(values.size) * 1e6);
  const contenders = [stack.use(await startVarve(dir.path, content))];
  if (values.plain) {
    const plain = { name: "varve serve, plain", env: { VARVE_NO_FFI: "1" } };
    contenders.push(stack.use(await startVarve(dir.path, content, plain)));
  }
  contenders.push(stack.use(await startDocker(dir.path, content)));
  const nginx = await startNginx(dir.path, content);
  if (nginx === undefined) console.log("nginx is not installed: no floor");
  else contenders.push(stack.use(nginx));
  if (parts.includes("blobs")) for (const at of [1, 8]) await raceBlobs(contenders, content, at, settings);
  if (parts.includes("clients")) await raceClients(contenders, content, settings);
  if (parts.includes("idle")) await tellIdle(dir.path, settings.rounds);
}

interface BlobRun {
  readonly cpuPerGb: number;
  readonly mbPerSecond: number;
}

async function raceBlobs(
  contenders: readonly Contender[],
  { large }: BenchContent,
  connections: number,
  { rounds }: Settings,
): Promise<void> {
  const runs = new Map<string, BlobRun[]>(contenders.map(({ name }) => [name, []]));
  // The first round fills the page cache and lets the compiler do its work.
  for (let round = -1; round < rounds; round += 1) {
    for (const contender of contenders) {
      const run = await measureBlobs(contender, large.digest, connections);
      if (round >= 0) runs.get(contender.name)?.push(run);
    }
  }
  console.log(
    `\nwarm blobs of ${large.size / 1e6} MB, ${connections} at once\n${"".padEnd(22)} CPU s/GB   MB/s   of docker-registry's CPU`,
  );
  const registry = median(runs.get("docker-registry") ?? [], "cpuPerGb");
  for (const [name, all] of runs) {
    const cpu = median(all, "cpuPerGb");
    const ratio = cpu / registry;
    const goal = name === "varve serve" ? goalOf(ratio, GOALS.cpuOfRegistry) : "";
    console.log(
      `${name.padEnd(22)} ${cpu.toFixed(2).padStart(8)} ${median(all, "mbPerSecond").toFixed(0).padStart(6)} ${ratio.toFixed(2).padStart(6)} ${goal}`,
    );
  }
}

async function measureBlobs({ host, pids }: Contender, digest: string, connections: number): Promise<BlobRun> {
  const urls = Array.from({ length: 8 }, () => `http://${host}/v2/${NAME}/blobs/${digest}`);
  const before = await cpuSeconds(pids);
  const { seconds, bytes } = await getAll(urls, connections);
  const cpu = (await cpuSeconds(pids)) - before;
  return { cpuPerGb: cpu / (bytes / 1e9), mbPerSecond: bytes / 1e6 / seconds };
}

interface ClientsRun {
  /** Without the others: what the machine and the client take by themselves. */
  readonly alone: HeadTimes;
  readonly heads: HeadTimes;
  readonly peak: number;
  readonly mbPerSecond: number;
}

async function raceClients(contenders: readonly Contender[], content: BenchContent, settings: Settings): Promise<void> {
  const { clients } = settings;
  console.log(
    `\n${clients} clients at once, a fifth of them ask for a manifest's head each ${HEAD_EVERY_MS} ms, the others for blobs`,
  );
  console.log(`${"".padEnd(22)}     MB/s  peak RSS MiB   HEAD p50    p99    max ms   p99 alone`);
  for (const contender of contenders) {
    const { alone, heads, peak, mbPerSecond } = await measureClients(contender, content, settings);
    const goals =
      contender.name !== "varve serve"
        ? ""
        : `RSS ${goalOf(peak, GOALS.peakMiB)}, p99 ${goalOf(heads.p99, GOALS.headP99)}`;
    const times = [heads.p50, heads.p99, heads.max, alone.p99].map((ms) => ms.toFixed(1).padStart(8)).join("");
    console.log(
      `${contender.name.padEnd(22)} ${mbPerSecond.toFixed(0).padStart(8)} ${peak.toFixed(0).padStart(8)}     ${times}   ${goals}`,
    );
  }
}

async function measureClients(contender: Contender, content: BenchContent, settings: Settings): Promise<ClientsRun> {
  const { host, pids } = contender;
  const heads = Math.round(settings.clients * HEAD_SHARE);
  const getting = settings.clients - heads;
  const blobs = [content.large, ...content.mixed];
  const turn = Array.from({ length: getting * 2 }, (_, index) => blobs[index % blobs.length]!);
  const urls = turn.map(({ digest }) => `http://${host}/v2/${NAME}/blobs/${digest}`);
  const work = { url: `http://${host}/v2/${NAME}/manifests/1`, clients: heads, everyMs: HEAD_EVERY_MS };
  const alone = await headsDuring(work, delay(ALONE_MS));
  await forgetPeaks(pids);
  const until = performance.now() + settings.seconds * 1000;
  const get = async (): Promise<number> => {
    const startedAt = performance.now();
    let bytes = 0;
    while (performance.now() < until) bytes += (await getAll(urls, getting)).bytes;
    return bytes / 1e6 / ((performance.now() - startedAt) / 1000);
  };
  const sending = get();
  const times = await headsDuring(work, sending);
  return { alone, heads: times, peak: await peakMiB(pids), mbPerSecond: await sending };
}

async function tellIdle(dir: string, runs: number): Promise<void> {
  const { readyMs, residentMiB, wakeUpsPerSecond, cpuMsPerMinute } = await measureIdle(join(dir, "idle"), runs);
  console.log(
    `\na daemon that nobody asks for anything: answers after ${readyMs.toFixed(0)} ms, ${residentMiB.toFixed(0)} MiB, ` +
      `${wakeUpsPerSecond.toFixed(1)} wake-ups a second, ${cpuMsPerMinute.toFixed(0)} ms of CPU a minute`,
  );
}

function median<Key extends string>(all: readonly Readonly<Record<Key, number>>[], key: Key): number {
  return all.map((each) => each[key]).toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN;
}

function goalOf(value: number, goal: number): string {
  return `${value <= goal ? "OK" : "MISSED"} (goal ${goal})`;
}
