/** What processes that go on running have cost so far, as proc(5) tells. Threads are in it; what has ended and was waited for is not. */
import { readdir, readFile, writeFile } from "node:fs/promises";

/** `USER_HZ`, which is 100 wherever Linux runs. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU, user and system. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, "utf8")));
  const ticks = stats.map((stat) => {
    // The name, which may have anything in it, is in parentheses; utime and stime are the 12th and 13th after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

/** Largest resident size since {@link forgetPeaks}, MiB, of all of them together. */
export async function peakMiB(pids: readonly number[]): Promise<number> {
  return (await kilobytes(pids, "VmHWM")) / 1024;
}

export async function residentMiB(pids: readonly number[]): Promise<number> {
  return (await kilobytes(pids, "VmRSS")) / 1024;
}

/** Peaks begin again at what there is now. */
export async function forgetPeaks(pids: readonly number[]): Promise<void> {
  await Promise.all(pids.map((pid) => writeFile(`/proc/${pid}/clear_refs`, "5")));
}

/** How often threads went to sleep of themselves: each time something had woken them. */
export async function wakeUps(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const counts = await Promise.all(
    threads.map(async (thread) => {
      const status = await readFile(`/proc/${pid}/task/${thread}/status`, "utf8").catch(() => "");
      return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    }),
  );
  return counts.reduce((sum, each) => sum + each, 0);
}

async function kilobytes(pids: readonly number[], field: string): Promise<number> {
  const statuses = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/status`, "utf8")));
  return statuses.reduce((sum, status) => sum + Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1]), 0);
}
