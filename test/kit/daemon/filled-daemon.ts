/** A daemon with something of everything in its store, for tests that ask each route of its API. */
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { connectDaemon, type DaemonClient } from "../../../src/daemon/client/connect-daemon.ts";
import { someVmConfig } from "../disk/tart-image.ts";
import { pushImage } from "../images/push-image.ts";
import { updatedApp, type UpdatedApp } from "../images/updated-app.ts";
import { startRegistry, type KitRegistry } from "../registry/registry.ts";
import { noise } from "../recipe/random-recipe.ts";
import { tempDir } from "../temp-dir.ts";
import { startTestDaemon, type TestDaemon, type TestDaemonOptions } from "./start-daemon.ts";

export interface FilledDaemon {
  readonly daemon: TestDaemon;
  readonly registry: KitRegistry;
  readonly client: DaemonClient;
  /** Its `diskDirectory`, in which `machine/` is a machine and `disk.img` a disk. */
  readonly disks: string;
  readonly app: UpdatedApp;
  /** Of images in the store: an application, its update, the delta between them, a machine. */
  readonly names: { readonly base: string; readonly target: string; readonly delta: string; readonly machine: string };
}

const MIB = 1 << 20;

export interface FilledOptions extends TestDaemonOptions {
  /** What of it is in the store from the beginning; a delta needs the application. Default: all. */
  readonly has?: readonly ("app" | "delta" | "machine")[];
}

/** Ended when the test that asked for it has finished. */
export async function filledDaemon({
  has = ["app", "delta", "machine"],
  ...options
}: FilledOptions = {}): Promise<FilledDaemon> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const disks = join(dir.path, "disks");
  await writeMachine(join(disks, "machine"));
  await writeFile(join(disks, "disk.img"), noise(MIB + 5000, "disk"));
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const app = await updatedApp();
  await pushImage(registry.host, "team/app", "1", app.base);
  await pushImage(registry.host, "team/app", "2", app.target);
  const config = { ...options.config, diskDirectory: disks };
  const daemon = await startTestDaemon({ snapshotter: "copy", ...options, config });
  const client = connectDaemon({ url: daemon.origin });
  onTestFinished(() => client[Symbol.asyncDispose]());
  const names = {
    base: `${registry.host}/team/app:1`,
    target: `${registry.host}/team/app:2`,
    delta: "example.com/app:1-2",
    machine: "example.com/vm:1",
  };
  if (has.includes("app")) {
    for (const reference of [names.base, names.target]) await finish(client, client.pulls.create({ reference }));
  }
  if (has.includes("delta")) {
    await finish(client, client.deltas.create({ base: names.base, target: names.target, tag: names.delta }));
  }
  if (has.includes("machine")) await client.disks.import({ path: "machine", image: names.machine, chunkSize: MIB });
  return { daemon, registry, client, disks, app, names };
}

async function finish(client: DaemonClient, begun: Promise<{ readonly id: string }>): Promise<void> {
  const { state, error } = await client.jobs.wait((await begun).id);
  if (state !== "done") throw new Error(`a job that fills the store is ${state}: ${error?.message}`);
}

/** 3 MiB of which the middle is a hole. */
async function writeMachine(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "config.json"), someVmConfig());
  await writeFile(join(path, "nvram.bin"), "what the firmware remembers");
  await writeFile(join(path, "disk.img"), noise(300_000, "front"));
  await truncate(join(path, "disk.img"), 3 * MIB);
}
