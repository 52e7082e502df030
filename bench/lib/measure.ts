/** What a program costs: wall, user and system seconds of its whole process tree, and the peak resident size of its largest process. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";

export interface Cost {
  readonly wall: number;
  readonly user: number;
  readonly system: number;
  /** MiB; of the largest single process. */
  readonly rss: number;
}

/** GNU time (Debian package `time`) asks the kernel, which counts children and their children too. */
const TIME = "/usr/bin/time";

/** @throws Error when the program fails, with what it said */
export async function measure(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<Cost> {
  return (await measureOutput(program, args, options)).cost;
}

/** The same, with what it printed. */
export async function measureOutput(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<{ readonly cost: Cost; readonly stdout: string }> {
  await using dir = await tempDir("varve-bench-");
  const file = join(dir.path, "time");
  const { code, stderr, stdout } = await run(TIME, ["-q", "-o", file, "-f", "%e %U %S %M", program, ...args], {
    timeoutMs: 3_600_000,
    ...options,
  });
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${stderr}\n${stdout.toString()}`);
  const [wall = 0, user = 0, system = 0, kilobytes = 0] = (await readFile(file, "utf8")).trim().split(" ").map(Number);
  return { cost: { wall, user, system, rss: kilobytes / 1024 }, stdout: stdout.toString() };
}

/** One after the other: times add up, the larger peak counts. */
export function inSequence(...costs: readonly Cost[]): Cost {
  return costs.reduce((sum, cost) => ({
    wall: sum.wall + cost.wall,
    user: sum.user + cost.user,
    system: sum.system + cost.system,
    rss: Math.max(sum.rss, cost.rss),
  }));
}

/** The figure in the middle, for each column by itself. */
export function median(costs: readonly Cost[]): Cost {
  const middle = (pick: (cost: Cost) => number): number => {
    const sorted = costs.map(pick).sort((a, b) => a - b);
    const half = sorted.length >> 1;
    const upper = sorted[half] ?? Number.NaN;
    return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2;
  };
  return {
    wall: middle(({ wall }) => wall),
    user: middle(({ user }) => user),
    system: middle(({ system }) => system),
    rss: middle(({ rss }) => rss),
  };
}
