/** Machines on which images get mounted: what a failed test leaves mounted goes with the machine. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { chainIds } from "../../src/oci/chain-id.ts";
import type { Digest } from "../../src/oci/digest.ts";
import type { SnapshotRow } from "../../src/transfer/manage-snapshots.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { canMount } from "../kit/mounts/can-mount.ts";
import { mountsBelow } from "../kit/mounts/mount-dir.ts";
import type { KitRegistry } from "../kit/registry/registry.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { readTree } from "../kit/trees/read-tree.ts";
import type { TreeNode } from "../kit/trees/tree-node.ts";
import { unmountBelow } from "../kit/unmount-below.ts";
import { newMachine, type Machine, type Outcome } from "./machine.ts";
import { sampleImage } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

export const CAN_MOUNT = process.getuid?.() === 0 && canMount();

/** Those that can be mounted here; none where nothing can. */
export const DRIVERS = CAN_MOUNT ? await usableDrivers() : [];

/** @param settings what its environment has besides */
export async function mountMachine(settings: Readonly<Record<string, string>> = {}): Promise<Machine> {
  const machine = await newMachine(settings);
  onTestFinished(async () => {
    await unmountBelow(machine.path);
    await machine[Symbol.asyncDispose]();
  });
  return machine;
}

/** A directory with one file in it, which can be seen whenever nothing is mounted there. */
export function placeFor(machine: Machine, name = "mnt"): string {
  const path = join(machine.path, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "below"), "");
  return path;
}

export const isBare = (place: string): boolean => existsSync(join(place, "below"));

/** Nothing is mounted, and the store is sound. */
export async function expectTidy(machine: Machine): Promise<void> {
  expect(mountsBelow(machine.path)).toEqual([]);
  expect(await storeFaults(machine.root)).toEqual([]);
}

/** Runs a command that must succeed as a process of its own, with `--json`. */
export async function execOk(machine: Machine, args: readonly string[], env = {}): Promise<unknown> {
  const { code, json, stdout, stderr } = await machine.exec(["--json", "--progress", "none", ...args], env);
  if (code !== 0) throw new Error(`varve ${args.join(" ")} ended with ${code}\n${stdout}\n${stderr}`);
  return json;
}

/** Code of the error and of the exit. */
export function failureOf({ code, json }: Outcome): readonly [code: string | undefined, exit: number] {
  return [(json as { error?: { code: string } } | undefined)?.error?.code, code];
}

/** Keys, with what kind of snapshot they are. */
export async function snapshotsOf(machine: Machine): Promise<string[]> {
  const rows = (await machine.ok("snapshots", "ls")) as readonly SnapshotRow[];
  return rows.map(({ kind, key }) => `${kind} ${key}`);
}

export function topOf(image: KitImage): Digest {
  return chainIds(image.layers.map(({ diffId }) => diffId)).at(-1)!;
}

export async function pushTo(registry: KitRegistry, tag: string, image: KitImage): Promise<string> {
  await pushImage(registry.host, "app", tag, image);
  return `${registry.host}/app:${tag}`;
}

export interface SampleMachine {
  readonly machine: Machine;
  /** Of the sample image, which it has pulled. */
  readonly name: string;
  readonly place: string;
}

/** @param flags of the pull */
export async function sampleMachine(registry: KitRegistry, ...flags: readonly string[]): Promise<SampleMachine> {
  const machine = await mountMachine();
  const name = await pushTo(registry, "sample", await sampleImage());
  await machine.pull(...flags, name);
  registry.clearRequests();
  return { machine, name, place: placeFor(machine) };
}

/** In what a place differs from what layers come to. */
export async function differences(layers: readonly TreeNode[][], place: string): Promise<string[]> {
  return diffTrees(expectedTree(layers), await readTree(place), { root: false, directoryTimes: false });
}
