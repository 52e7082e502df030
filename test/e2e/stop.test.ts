/** Ctrl-C at a large pull: it ends soon whatever the disk does, says how much is kept, and names the command that goes on. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished, beforeAll, describe, expect, it } from "vitest";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import type { RunningProgram } from "../kit/peers/run.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { arrivedBytes } from "./arrived.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, layerBytes } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const MIB = 1 << 20;
/** What is promised, and a little for a machine that is busy with other tests. */
const SOON_MS = 2000 + 500;

let image: KitImage;
beforeAll(async () => {
  image = await bulkImage(71, ...Array.from({ length: 12 }, () => 25 * MIB));
});

interface Scene {
  readonly machine: Machine;
  readonly proxy: FaultProxy;
  readonly reference: string;
}

/** 300 MB in twelve layers, of which those that are fetched come steadily. */
async function scene(): Promise<Scene> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  await pushImage(registry.host, "app", "1", image);
  const layers = new RegExp(image.layers.map(({ descriptor }) => descriptor.digest).join("|"));
  const rules = [{ path: layers, fault: { kind: "slow", bytesPerSecond: 6_000_000 } as const }];
  const proxy = await startFaultProxy({ target: registry.host, rules });
  onTestFinished(() => proxy.close());
  return { machine, proxy, reference: `${proxy.host}/app:1` };
}

/** A pull that has so many bytes; with `preload`, in a Node that has loaded that first. */
async function pullUntil(
  it: Scene,
  bytes: number,
  flags: readonly string[],
  preload?: string,
): Promise<RunningProgram> {
  const env = preload === undefined ? {} : { NODE_OPTIONS: `--import=${preload}` };
  const program = it.machine.start([...flags, "--progress", "json", it.reference], env);
  onTestFinished(() => program[Symbol.asyncDispose]());
  while (arrivedBytes(program.said()) < bytes) await Promise.race([sleep(20), program.result]);
  return program;
}

async function interrupt(program: RunningProgram): Promise<{ readonly ms: number; readonly stderr: string }> {
  const startedAt = performance.now();
  program.kill("SIGINT");
  const { code, stderr } = await program.result;
  expect(code).toBe(130);
  return { ms: performance.now() - startedAt, stderr };
}

/** Node's own syncs take as long as the pool's threads are held by something that cannot be cancelled: for ever. */
async function stuckDisk(directory: string): Promise<string> {
  const path = join(directory, "stuck-disk.mjs");
  const program = `
    import { pbkdf2 } from "node:crypto";
    import { open } from "node:fs/promises";
    const file = await open(process.execPath);
    const handle = Object.getPrototypeOf(file);
    await file.close();
    const stuck = () => new Promise((resolve) => pbkdf2("a", "b", 2 ** 31 - 1, 64, "sha512", resolve));
    handle.datasync = stuck;
  `;
  await writeFile(path, program);
  return path;
}

describe("Ctrl-C at a pull of 300 MB", () => {
  it("ends it soon with all that came, and the command that is named brings the rest", async () => {
    const it = await scene();
    const program = await pullUntil(it, 30 * MIB, ["pull", "-j", "8", "--creds", "me:s3cret"]);
    const { ms, stderr } = await interrupt(program);
    expect(ms).toBeLessThan(SOON_MS);
    const [, kept, total] = /INTERRUPTED: stopped; ([\d.]+) MB of ([\d.]+) MB are kept\n?/.exec(stderr) ?? [];
    expect(Number(kept)).toBeGreaterThan(30);
    expect(Number(total)).toBe(315);
    expect(stderr).not.toContain("s3cret");
    const [, command = ""] = /hint: go on with: (varve [^\n]*?)  \(and/.exec(stderr) ?? [];
    expect(command).toBe(`varve pull -j 8 --progress json ${it.reference}`);
    expect(await storeFaults(it.machine.root)).toEqual([]);
    it.proxy.setRules([]);
    const before = it.proxy.bytesFor(/\/blobs\//);
    const again = await it.machine.pull(...command.split(" ").slice(2));
    expect(again).toMatchObject({ status: "pulled", digest: image.digest });
    expect(again.resumedBytes / 1e6).toBeCloseTo(Number(kept), 0);
    expect(it.proxy.bytesFor(/\/blobs\//) - before).toBe(layerBytes(image) - again.resumedBytes);
    expect(await storeFaults(it.machine.root)).toEqual([]);
  });

  it("ends it soon also when the disk takes for ever, and what it had taken is kept", async () => {
    const it = await scene();
    const preload = await stuckDisk(it.machine.path);
    const program = await pullUntil(it, 20 * MIB, ["pull", "-j", "8"], preload);
    const { ms, stderr } = await interrupt(program);
    expect(ms).toBeLessThan(SOON_MS);
    expect(stderr).toMatch(/INTERRUPTED: stopped; up to [\d.]+ MB of 315 MB are kept\n?/);
    expect(stderr).toContain(`go on with: varve pull -j 8 --progress json ${it.reference}`);
    expect(await storeFaults(it.machine.root)).toEqual([]);
    it.proxy.setRules([]);
    expect(await it.machine.pull(it.reference)).toMatchObject({ status: "pulled", digest: image.digest });
  });

  it("twice ends it at once, also when the disk takes for ever", async () => {
    const it = await scene();
    const preload = await stuckDisk(it.machine.path);
    const program = await pullUntil(it, 10 * MIB, ["pull"], preload);
    program.kill("SIGINT");
    // Requests within 300 ms are one; by 1.5 s it would end by itself.
    await sleep(400);
    const { ms } = await interrupt(program);
    expect(ms).toBeLessThan(1000);
    expect(await storeFaults(it.machine.root)).toEqual([]);
  });
});
