/** What a daemon costs before anybody asks it for anything: how soon it answers, and what it takes while nothing happens. */
import { setTimeout as delay } from "node:timers/promises";
import { startServe } from "../../../test/kit/daemon/serve-process.ts";
import { cpuSeconds, residentMiB, wakeUps } from "./process-cost.ts";

/** What starting leaves to be done later is over by then. */
const SETTLE_MS = 5000;
const WATCH_MS = 30_000;

export interface IdleCost {
  /** From the start of the process to the first answer; median. */
  readonly readyMs: number;
  readonly residentMiB: number;
  readonly wakeUpsPerSecond: number;
  readonly cpuMsPerMinute: number;
}

export async function measureIdle(root: string, runs: number): Promise<IdleCost> {
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const startedAt = performance.now();
    await using server = await startServe({ root });
    await fetch(`http://${server.host}/readyz`).then((answer) => answer.text());
    times.push(performance.now() - startedAt);
  }
  await using server = await startServe({ root });
  await delay(SETTLE_MS);
  const [before, cpuBefore] = [await wakeUps(server.pid), await cpuSeconds([server.pid])];
  await delay(WATCH_MS);
  const seconds = WATCH_MS / 1000;
  return {
    readyMs: times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN,
    residentMiB: await residentMiB([server.pid]),
    wakeUpsPerSecond: ((await wakeUps(server.pid)) - before) / seconds,
    cpuMsPerMinute: (((await cpuSeconds([server.pid])) - cpuBefore) * 1000 * 60) / seconds,
  };
}
