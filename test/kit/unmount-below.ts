/** What a killed program left mounted would keep its directory from being removed, or be emptied with it. */
import { readFile } from "node:fs/promises";
import { runOk } from "./peers/run.ts";

/** Unmounts all that is mounted at or below this directory, the innermost first. */
export async function unmountBelow(dir: string): Promise<void> {
  for (const point of (await mountPoints()).toReversed()) {
    if (point === dir || point.startsWith(`${dir}/`)) await runOk("umount", ["--lazy", point]);
  }
}

/** In order of mounting; proc(5), "/proc/pid/mountinfo". */
async function mountPoints(): Promise<string[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).trimEnd().split("\n");
  return lines.map((line) => unescape(line.split(" ")[4] ?? ""));
}

function unescape(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
