/** Disks that are too small, from the start or because somebody else fills them: nothing is lost, and what is needed is said. */
import { rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { arrivedBytes } from "./arrived.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, layerBytes } from "./samples.ts";
import { storeFaults } from "./store-health.ts";
import { mountTmpfs, type Tmpfs } from "./tmpfs.ts";

const MIB = 1 << 20;
const BLOBS = /\/blobs\//;

let image: KitImage;
let manyLayers: KitImage;
beforeAll(async () => {
  image = await bulkImage(81, 6 * MIB, 3 * MIB, MIB, 50_000);
  manyLayers = await bulkImage(83, ...Array<number>(8).fill(2 * MIB));
});

interface Scene {
  readonly machine: Machine;
  readonly proxy: FaultProxy;
  readonly disk: Tmpfs;
  readonly reference: string;
}

/** Undefined where this process may not mount. Blobs are all there is, unless layers are to be unpacked. */
async function scene(size: string, snapshotter = "none"): Promise<Scene | undefined> {
  const machine = await newMachine({ VARVE_SNAPSHOTTER: snapshotter });
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const disk = mountTmpfs(machine.root, size);
  if (disk === undefined) return undefined;
  onTestFinished(() => disk[Symbol.dispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  await pushImage(registry.host, "app", "1", image);
  await pushImage(registry.host, "app", "many", manyLayers);
  const proxy = await startFaultProxy({ target: registry.host });
  onTestFinished(() => proxy.close());
  return { machine, proxy, disk, reference: `${proxy.host}/app:1` };
}

describe("a disk that is too small", () => {
  it("is found out before any layer moves, and the figures are told", async (context) => {
    const it = await scene("8m");
    if (it === undefined) return context.skip("this user may not mount");
    const error = await it.machine.fails("pull", it.reference);
    expect(error).toMatchObject({ code: "NO_SPACE", exit: 1 });
    const [, needed, free, missing] =
      /: ([\d.]+) MB are needed, ([\d.]+) MB are free, ([\d.]+) MB are missing/.exec(error.message) ?? [];
    expect(Number(needed)).toBeGreaterThan(layerBytes(image) / 1e6);
    expect(Number(free)).toBeLessThan(8.4);
    expect(Number(missing)).toBeCloseTo(Number(needed) - Number(free), 1);
    expect(error.hint).toMatch(/varve gc.*varve prune.*--root/);
    expect(it.proxy.bytesFor(BLOBS)).toBe(image.config.bytes.length);
    expect(await storeFaults(it.machine.root)).toEqual([]);
    // A plan needs no room, and makes none up.
    expect(await it.machine.pull("--plan", it.reference)).toMatchObject({ status: "planned" });
    it.disk.grow("12m");
    expect(await it.machine.pull(it.reference)).toMatchObject({ status: "pulled", resumedBytes: 0 });
  });

  it("counts what is here already, whole or in part, as room that is not needed", async (context) => {
    const it = await scene("13m");
    if (it === undefined) return context.skip("this user may not mount");
    const slow = { kind: "slow", bytesPerSecond: 4_000_000 } as const;
    it.proxy.setRules([{ path: BLOBS, fault: slow }]);
    const program = it.machine.start(["pull", "-j", "1", "--progress", "json", it.reference]);
    onTestFinished(() => program[Symbol.asyncDispose]());
    while (arrivedBytes(program.said()) < 7.5 * MIB) await Promise.race([sleep(20), program.result]);
    program.kill("SIGINT");
    await program.result;
    it.proxy.setRules([]);
    // Room for what is missing, and not for the image.
    const { bavail, bsize } = await statfs(it.machine.root);
    const left = layerBytes(image) - arrivedBytes(program.said());
    await writeFile(join(it.machine.root, "filler"), Buffer.alloc(bavail * bsize - left - MIB, 1));
    const again = await it.machine.pull(it.reference);
    expect(again.resumedBytes + again.layers.reduce((sum, { bytes }) => sum + bytes.network, 0)).toBeLessThanOrEqual(
      layerBytes(image),
    );
    expect(again.resumedBytes).toBeGreaterThan(0);
    // A full disk is no reason to refuse a pull that has nothing to do.
    const room = await statfs(it.machine.root);
    await writeFile(join(it.machine.root, "filler2"), Buffer.alloc(room.bavail * room.bsize - 400_000, 1));
    expect(await it.machine.pull(it.reference)).toMatchObject({ status: "up-to-date" });
  });
});

describe("a disk that is too small for layers and blobs", () => {
  it("is found out before any layer moves, and is large enough when blobs go as layers are unpacked", async (context) => {
    const it = await scene("26m", "auto");
    if (it === undefined) return context.skip("this user may not mount");
    const reference = `${it.proxy.host}/app:many`;
    const error = await it.machine.fails("pull", reference);
    expect(error).toMatchObject({ code: "NO_SPACE", message: expect.stringMatching(/ MB are missing$/) });
    expect(it.proxy.bytesFor(BLOBS)).toBe(manyLayers.config.bytes.length);
    const pulled = await it.machine.pull("--discard-blobs", "-j", "1", reference);
    expect(pulled).toMatchObject({ status: "pulled", snapshotter: expect.any(String) });
    expect(await it.machine.pull(reference)).toMatchObject({ status: "up-to-date", requests: 1 });
  });
});

describe("a disk that somebody else fills while a pull runs", () => {
  const rng = createRng(82);
  it.for(Array.from({ length: 5 }, () => rng.int(9 * MIB)))(
    "after %i bytes: what came is kept, what is missing is told, and with room again the pull goes on",
    async (bytes, context) => {
      const it = await scene("16m");
      if (it === undefined) return context.skip("this user may not mount");
      it.proxy.setRules([{ path: BLOBS, fault: { kind: "slow", bytesPerSecond: 3_000_000 } }]);
      const program = it.machine.start(["pull", "--json", "--progress", "json", it.reference]);
      onTestFinished(() => program[Symbol.asyncDispose]());
      while (arrivedBytes(program.said()) < bytes) await Promise.race([sleep(10), program.result]);
      const filler = join(it.machine.root, "filler");
      const { bavail, bsize } = await statfs(it.machine.root);
      // What the pull writes meanwhile may fill the disk before this does.
      await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - 100_000), 1)).catch(unlessFull);
      const { code, stdout } = await program.result;
      expect(code).toBe(1);
      const { error } = JSON.parse(stdout.toString()) as { error: { code: string; message: string; hint: string } };
      expect(error).toMatchObject({ code: "NO_SPACE", hint: expect.stringMatching(/gc.*prune.*same command/) });
      expect(error.message).toMatch(
        /; [\d.]+ [kM]?B of \S+ are still to come, [\d.]+ k?B are free; what came is kept$/,
      );
      expect(await it.machine.images()).toEqual([]);
      expect(await storeFaults(it.machine.root)).toEqual([]);
      // Still full: refused before anything moves.
      it.proxy.setRules([]);
      const moved = it.proxy.bytesFor(BLOBS);
      expect((await it.machine.fails("pull", it.reference)).message).toMatch(/are needed, .* are missing$/);
      expect(it.proxy.bytesFor(BLOBS)).toBe(moved);
      await rm(filler);
      const again = await it.machine.pull(it.reference);
      expect(again).toMatchObject({ status: "pulled", digest: image.digest });
      const whole = again.layers.filter(({ how }) => how === "present").reduce((sum, { size }) => sum + size, 0);
      const kept = again.resumedBytes + whole;
      // All that had come, but for the last buffers that found no room.
      expect(kept).toBeGreaterThan(bytes - 4 * MIB);
      expect(it.proxy.bytesFor(BLOBS) - moved).toBe(layerBytes(image) - kept);
      expect(await storeFaults(it.machine.root)).toEqual([]);
    },
  );
});

function unlessFull(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOSPC") throw error;
}
