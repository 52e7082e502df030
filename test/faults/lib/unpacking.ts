/** The ways of unpacking that cases take turns with. */
import { mkdir } from "node:fs/promises";
import { probeDrivers } from "../../../src/snapshot/probe.ts";
import type { DriverName } from "../../../src/snapshot/types.ts";

export interface Unpacking {
  readonly snapshotter: DriverName | "none";
  /** Layers at once. */
  readonly jobs: number;
}

/** The two that matter most change most often. */
const TURNS: readonly Unpacking[] = [
  { snapshotter: "erofs", jobs: 2 },
  { snapshotter: "overlay", jobs: 2 },
  { snapshotter: "erofs", jobs: 4 },
  { snapshotter: "overlay", jobs: 4 },
  { snapshotter: "erofs", jobs: 1 },
  { snapshotter: "overlay", jobs: 1 },
  { snapshotter: "copy", jobs: 2 },
  { snapshotter: "none", jobs: 2 },
];

/** Those that work in a directory; where nothing can be mounted, only not to unpack. @param but leave these out */
export async function usableUnpackings(
  directory: string,
  but: readonly Unpacking["snapshotter"][] = [],
): Promise<readonly Unpacking[]> {
  await mkdir(directory, { recursive: true });
  const isRoot = process.getuid?.() === 0;
  const usable = new Set<string>(["none"]);
  for (const { name, usable: works } of isRoot ? await probeDrivers(directory) : []) if (works) usable.add(name);
  return TURNS.filter(({ snapshotter }) => usable.has(snapshotter) && !but.includes(snapshotter));
}

export function flagsOf({ snapshotter, jobs }: Unpacking): string[] {
  return ["--snapshotter", snapshotter, "--unpack-jobs", String(jobs)];
}

export function describeUnpacking({ snapshotter, jobs }: Unpacking): string {
  return snapshotter === "none" ? "not unpacked" : `${snapshotter}, ${jobs} at once`;
}
