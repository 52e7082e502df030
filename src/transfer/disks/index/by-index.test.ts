/** A machine's next version comes as the pieces that are nowhere here; whatever an index says, what is made is what the manifest says. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { changedBlocks } from "../../../../test/kit/disk/changed-blocks.ts";
import { indexedMachines, type IndexedMachines } from "../../../../test/kit/disk/indexed-machines.ts";
import { noise } from "../../../../test/kit/recipe/random-recipe.ts";
import { transferContext } from "../../../../test/kit/store/transfer-context.ts";
import type { ProgressEvent } from "../../../recipe/progress.ts";
import type { PullResult } from "../../pull-result.ts";

const MIB = 1 << 20;
const BLOCK = 4096;

/** Bytes that compress to about a half, as a system's files do. */
function someFile(length: number, seed: string): Buffer {
  const words = noise(Math.ceil(length / 2), seed);
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 2 * 32) bytes.set(words.subarray(at / 2, at / 2 + 32), at);
  return bytes;
}

/** Files of all sizes, which begin at blocks as on a file system, and free space. */
function firstDisk(): Buffer {
  const disk = Buffer.alloc(16 * MIB);
  let at = MIB;
  for (let file = 0; at < 12 * MIB; file++) {
    const bytes = someFile(1 + ((file * 7919 * 13) % 300_000), `file ${file}`);
    bytes.copy(disk, at);
    at += Math.ceil(bytes.length / BLOCK) * BLOCK;
  }
  return disk;
}

/** Some blocks changed, a file more, a part moved by some blocks, and the disk grown. */
function nextDisk(first: Buffer): Buffer {
  const disk = Buffer.concat([first, Buffer.alloc(2 * MIB)]);
  for (const block of [300, 301, 900, 1777, 2500]) disk.set(noise(BLOCK, `block ${block}`), block * BLOCK);
  disk.set(someFile(200_000, "a new file"), 14 * MIB);
  first.copy(disk, 8 * MIB + 5 * BLOCK, 8 * MIB, 9 * MIB);
  disk.set(someFile(100_000, "grown"), 17 * MIB);
  return disk;
}

const diskOf = async ({ disks }: PullResult): Promise<Buffer> => readFile(disks![0]!.path!);

const networkOf = ({ layers }: PullResult): number => layers.reduce((sum, { bytes }) => sum + bytes.network, 0);

/** Bytes of chunks' blobs that the registry has sent, and of all else. */
function sentBy({ registry }: IndexedMachines, chunks: ReadonlySet<string>): { chunks: number; other: number } {
  const sent = { chunks: 0, other: 0 };
  for (const { path, sent: bytes, status } of registry.requests) {
    if (status >= 300) continue;
    if (chunks.has(path.split("/").at(-1)!)) sent.chunks += bytes;
    else sent.other += bytes;
  }
  return sent;
}

const chunksOf = ({ layers }: PullResult): Set<string> => new Set(layers.map(({ digest }) => digest as string));

describe("a pull of the next version of a machine", () => {
  it.each([{}, { referrers: false }])(
    "fetches what is nowhere here, and as much as it said, with %j",
    async (quirks) => {
      const machines = await indexedMachines(4 * MIB, quirks);
      const [first, next] = [firstDisk(), nextDisk(firstDisk())];
      await machines.publish("v1", first);
      await machines.publish("v2", next);
      const context = await transferContext();
      await machines.pull(context, "v1");
      const planned = await machines.pull(context, "v2", { plan: true });
      const pulled = await machines.pull(context, "v2");
      expect((await diskOf(pulled)).equals(next)).toBe(true);
      expect(networkOf(pulled)).toBe(networkOf(planned));
      const [before, after] = [join(context.path, "v1"), join(context.path, "v2")];
      await writeFile(before, first);
      await writeFile(after, next);
      const { compressedBytes } = await changedBlocks(before, after);
      const sent = sentBy(machines, chunksOf(pulled));
      expect(sent.chunks).toBeLessThanOrEqual(1.1 * compressedBytes);
      // The list, the manifests, and the indexes of the chunks that are missing: 45 bytes for a piece of 8 KiB at least.
      expect(sent.other).toBeLessThan(10_000 + (45 * next.length) / 8192);
      expect(context.events.filter(({ type }) => type === "fallback")).toEqual([]);
      // What the pull has learnt of the disk serves the next one: a byte of a chunk costs a piece or two, and nothing is read to know that.
      const third = Buffer.from(next);
      third[10 * MIB]! ^= 1;
      await machines.publish("v3", third);
      const last = await machines.pull(context, "v3");
      expect((await diskOf(last)).equals(third)).toBe(true);
      expect(sentBy(machines, chunksOf(last)).chunks).toBeLessThan(140_000);
    },
  );

  it("goes on where it was cut off, with what pieces came", async () => {
    const machines = await indexedMachines(4 * MIB);
    const [first, next] = [firstDisk(), nextDisk(firstDisk())];
    await machines.publish("v1", first);
    await machines.publish("v2", next);
    const context = await transferContext();
    await machines.pull(context, "v1");
    const planned = networkOf(await machines.pull(context, "v2", { plan: true }));
    const cut = new AbortController();
    // One chunk is whole by then, others are begun.
    const onProgress = ({ type }: ProgressEvent): void => (type === "progress" ? cut.abort() : undefined);
    const cutOff = machines.pull({ ...context, signal: cut.signal, onProgress }, "v2");
    await expect(cutOff).rejects.toMatchObject({ code: "INTERRUPTED" });
    const pulled = await machines.pull(context, "v2");
    expect((await diskOf(pulled)).equals(next)).toBe(true);
    expect(networkOf(pulled)).toBeLessThanOrEqual(planned);
    expect(context.events.filter(({ type }) => type === "fallback")).toEqual([]);
  });

  it("fetches no zeros that stand around a few blocks, also where nothing is here", async () => {
    const machines = await indexedMachines(64 * MIB);
    const disk = Buffer.alloc(128 * MIB);
    disk.set(noise(BLOCK, "one block"), 30 * MIB);
    disk.set(noise(BLOCK, "another"), 100 * MIB);
    await machines.publish("v1", disk);
    const pulled = await machines.pull(await transferContext(), "v1");
    expect((await diskOf(pulled)).equals(disk)).toBe(true);
    expect(sentBy(machines, chunksOf(pulled)).chunks).toBeLessThan(4 * BLOCK);
  });

  it("is the same for who does not know the index, or pulls into an empty store", async () => {
    const machines = await indexedMachines(4 * MIB);
    const [first, next] = [firstDisk(), nextDisk(firstDisk())];
    const digest = await machines.publish("v1", first);
    expect(await machines.publish("v2", next, { chunkIndex: false })).not.toBe(digest);
    const context = await transferContext();
    expect((await diskOf(await machines.pull(context, "v1"))).equals(first)).toBe(true);
    expect(machines.registry.requests.filter(({ path }) => path.includes("/referrers/"))).toEqual([]);
    const pulled = await machines.pull(context, "v2");
    expect((await diskOf(pulled)).equals(next)).toBe(true);
    expect(pulled.layers.every(({ fallbacks }) => fallbacks.length === 0)).toBe(true);
    expect(context.events.filter(({ type }) => type === "fallback")).toEqual([]);
  });
});
