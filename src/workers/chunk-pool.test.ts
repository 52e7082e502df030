/** Threads make the same blobs as this one, tell how far they are, stop when they are told to, and say so when they die. */
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { encodeChunk } from "../disk/import/encode-chunk.ts";
import { ChunkPool } from "./chunk-pool.ts";

const MIB = 1 << 20;

async function disk(bytes: number) {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const path = join(dir.path, "disk");
  await writeFile(path, noise(bytes, "disk"));
  const handle = await open(path);
  onTestFinished(() => handle.close());
  const chunk = (offset: number, size: number) => ({ offset, size, runs: [{ offset, length: size }] });
  return { path: dir.path, fd: handle.fd, chunk };
}

it("makes what this thread makes, several at once", async () => {
  const { path, fd, chunk } = await disk(6 * MIB);
  await using pool = new ChunkPool(2);
  expect(pool.lanes).toBe(2);
  await using output = await open(join(path, "blob"), "w+");
  const told: number[] = [];
  const [one, ...others] = await Promise.all([
    pool.encode(fd, chunk(0, 5 * MIB), { output: output.fd, onProgress: (done) => told.push(done) }),
    pool.encode(fd, chunk(MIB, MIB), { encoding: "plain" }),
    pool.encode(fd, { offset: 0, size: MIB, runs: [] }),
  ]);
  const blob = join(path, "own");
  await using own = await open(blob, "w");
  const expected = await encodeChunk(fd, chunk(0, 5 * MIB), { output: own.fd });
  expect({ ...one, index: undefined }).toEqual({ ...expected, index: undefined });
  expect(Buffer.from(one.index!).equals(Buffer.from(expected.index!))).toBe(true);
  expect(told.at(-1)).toBe(5 * MIB);
  expect((await readFile(join(path, "blob"))).equals(await readFile(blob))).toBe(true);
  const plain = await encodeChunk(fd, chunk(MIB, MIB), { encoding: "plain" });
  expect(others[0]).toEqual(plain);
});

it("stops when it is told to, and fails as this thread does", async () => {
  const { fd, chunk } = await disk(MIB);
  await using pool = new ChunkPool(1);
  const stop = new AbortController();
  const onProgress = (): void => stop.abort(new Error("enough"));
  const stopping = pool.encode(fd, { offset: 0, size: 2 ** 40, runs: [] }, { signal: stop.signal, onProgress });
  await expect(stopping).rejects.toThrow("enough");
  const failing = pool.encode(fd, chunk(0, 2 * MIB));
  await expect(failing).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
});

it("fails when its threads end", async () => {
  const { fd } = await disk(MIB);
  const pool = new ChunkPool(1);
  const onProgress = (): void => void pool[Symbol.asyncDispose]();
  const left = pool.encode(fd, { offset: 0, size: 2 ** 40, runs: [] }, { onProgress });
  await expect(left).rejects.toMatchObject({ code: "INTERNAL" });
});
