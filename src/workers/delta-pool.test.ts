/** Comparisons in threads: the same as here, of tars that lie in files, in memory and in both, and of several as one. */
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createRng } from "../../test/kit/images/rng.ts";
import { memoryTar } from "../../test/kit/layer/memory-tar.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { inThisThread } from "../delta/image/in-this-thread.ts";
import type { DeltaThreads } from "../delta/image/threads.ts";
import { VarveError } from "../errors/varve-error.ts";
import { concatTars } from "../layer/seekable/concat-tars.ts";
import { FileTar } from "../layer/seekable/file-tar.ts";
import type { SeekableTar } from "../layer/seekable/seekable-tar.ts";
import { DeltaPool } from "./delta-pool.ts";

const rng = createRng(5);
const [BELOW, ABOVE] = [rng.bytes(700_000), rng.bytes(400_000)];
const TARGET = Buffer.concat([ABOVE.subarray(1000), rng.bytes(3000), BELOW.subarray(0, 300_000)]);
const { signal } = new AbortController();
const options = { signal, onProgress: () => undefined };

async function delta(threads: DeltaThreads, base: SeekableTar, target: SeekableTar): Promise<Buffer> {
  await using dir = await tempDir();
  await using file = await open(join(dir.path, "delta"), "w+");
  await using index = await threads.index(base, options);
  const { size } = await index.write(target, file.fd, options);
  const bytes = Buffer.alloc(size);
  await file.read(bytes, 0, size, 0);
  return bytes;
}

it("gives the same of files, of what is in none, and of both as one", async () => {
  await using dir = await tempDir();
  const pool = new DeltaPool();
  onTestFinished(() => pool[Symbol.asyncDispose]());
  const [below, above] = [join(dir.path, "below"), join(dir.path, "above")];
  await writeFile(below, BELOW);
  await writeFile(above, ABOVE);
  await using files = concatTars([await FileTar.open(below), await FileTar.open(above)]);
  await using mixed = concatTars([await FileTar.open(below), memoryTar(ABOVE)]);
  const expected = await delta(inThisThread(), memoryTar(Buffer.concat([BELOW, ABOVE])), memoryTar(TARGET));
  expect(expected.length).toBeLessThan(3100);
  for (const base of [files, mixed, memoryTar(Buffer.concat([BELOW, ABOVE]))]) {
    expect(Buffer.compare(await delta(pool, base, memoryTar(TARGET)), expected)).toBe(0);
  }
});

it("passes on what reading fails with, and ends when it is stopped", async () => {
  const pool = new DeltaPool();
  onTestFinished(() => pool[Symbol.asyncDispose]());
  const bad: SeekableTar = {
    ...memoryTar(BELOW),
    read: () => Promise.reject(new VarveError("SOURCE_CHANGED", "it became shorter")),
  };
  await expect(pool.index(bad, options)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  const stop = new AbortController();
  const endless: SeekableTar = {
    ...memoryTar(BELOW),
    read(into) {
      into.fill(1);
      stop.abort(new VarveError("INTERRUPTED", "stopped"));
      return Promise.resolve();
    },
    size: 2 ** 40,
  };
  await expect(pool.index(endless, { ...options, signal: stop.signal })).rejects.toMatchObject({ code: "INTERRUPTED" });
});
