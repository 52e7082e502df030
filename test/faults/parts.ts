/** The parts of `npm run test:faults`, and how much of each a full and a quick run do. */
import { join } from "node:path";
import { startRegistry } from "../kit/registry/registry.ts";
import { runDaemon } from "./daemon/daemon.ts";
import { runFullDisks } from "./disk/disk.ts";
import { runKills } from "./kill/kill.ts";
import { runNetwork } from "./network/network.ts";
import { runPowerCuts } from "./power/power.ts";
import { describeUnpacking, usableUnpackings } from "./lib/unpacking.ts";
import { makeScenes } from "./steps/scenes.ts";

export const PARTS = ["network", "kill", "power", "disk", "daemon"] as const;

/** Of the images that operations are cut off with, compressed. */
const SCENE_BYTES = { full: 3_000_000, quick: 600_000 };

export interface PartsOptions {
  readonly parts: readonly string[];
  readonly seed: number;
  readonly only: number | undefined;
  readonly match?: string | undefined;
  readonly atMost?: number | undefined;
  readonly largeBytes: number;
  readonly quick: boolean;
  /** For registries and stores. */
  readonly dir: string;
  readonly log?: (line: string) => void;
}

/** @returns the failures, each with the command that repeats it */
export async function runParts(options: PartsOptions): Promise<readonly string[]> {
  const { parts, quick, log = () => {} } = options;
  const failures: string[] = [];
  const unpackings = await usableUnpackings(join(options.dir, "probe"));
  log(`unpacked by ${unpackings.map(describeUnpacking).join("; ")}`);
  // On small disks there is no room for a copy of everything for each layer.
  const small = unpackings.filter(({ snapshotter }) => snapshotter !== "copy");
  if (parts.includes("network")) {
    const amount = quick
      ? { every: 220, random: { small: 2, updates: 1, machines: 1, deltas: 1, ranges: 0, large: 0 } }
      : { random: { small: 440, updates: 120, machines: 80, deltas: 80, ranges: 50, large: 12 } };
    const result = await runNetwork({ ...options, ...amount, unpackings, name: "network" });
    log(`\nnetwork (${result.seconds} s)\n${result.report}\n`);
    failures.push(...result.failures);
  }
  if (parts.includes("daemon")) {
    const result = await runDaemon({ ...options, cases: quick ? 1 : 10, unpackings, name: "daemon" });
    log(`\ndaemon (${result.seconds} s)\n${result.report}\n`);
    failures.push(...result.failures);
  }
  if (parts.every((part) => part === "network" || part === "daemon")) return failures;
  await using registry = await startRegistry({ dir: join(options.dir, "scenes-registry") });
  const scenes = await makeScenes(options.dir, registry.host, SCENE_BYTES[quick ? "quick" : "full"], options.seed);
  if (parts.includes("kill")) {
    const result = await runKills({ ...options, scenes, unpackings, cases: quick ? 3 : 560, name: "kill" });
    log(`\nkill -9 (${result.seconds} s)\n${result.report}\n`);
    failures.push(...result.failures);
  }
  if (parts.includes("power")) {
    const result = await runPowerCuts({ ...options, scenes, unpackings: small, cases: quick ? 2 : 500, name: "power" });
    log(`\npower cuts (${result.seconds} s)\n${result.report}\n`);
    failures.push(...result.failures);
  }
  if (parts.includes("disk")) {
    const result = await runFullDisks({ ...options, scenes, unpackings: small, cases: quick ? 2 : 350, name: "disk" });
    log(`\nfull disks (${result.seconds} s)\n${result.report}\n`);
    failures.push(...result.failures);
  }
  return failures;
}
