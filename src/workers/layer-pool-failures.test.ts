/** Threads that die, and streams that nobody reads. */
import { readdirSync, readlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { gzipSync } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { FrontFile } from "../layer/threads.ts";
import { LayerPool } from "./layer-pool.ts";
import { Rising } from "./rising.ts";

/** The end of a tar, and far more of it than a stream may read ahead. */
const TAR = Buffer.alloc(32 << 20);

async function layer() {
  const dir = await tempDir();
  const path = join(dir.path, "layer");
  const bytes = gzipSync(TAR, { level: 1 });
  await writeFile(path, bytes);
  const { length: size } = bytes;
  const file: FrontFile = { path, size, front: size, waitFront: () => Promise.resolve() };
  return { file, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

/** The next thread that is started in this process. */
function nextThread(): Promise<Worker> {
  const { promise, resolve } = Promise.withResolvers<Worker>();
  process.once("worker", resolve);
  return promise;
}

function isOpen(path: string): boolean {
  return readdirSync("/proc/self/fd").some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  });
}

const { signal } = new AbortController();

describe("a pool in trouble", () => {
  it("starts another thread for the one that died, and fails only what that one had", async () => {
    await using blob = await layer();
    await using pool = new LayerPool({ threads: 1 });
    const started = nextThread();
    const never = new Rising();
    const waitFront: FrontFile["waitFront"] = (position, given) => never.passed(position, given ?? signal);
    const stalled = pool.check({ ...blob.file, front: 0, waitFront }, { signal });
    const failure = stalled.catch((error: unknown) => error);
    await (await started).terminate();
    expect(await failure).toMatchObject({ code: "INTERNAL" });
    expect(await pool.check(blob.file, { signal })).toMatchObject({ size: TAR.length });
  });

  it.skipIf(process.platform !== "linux")("ends a stream that nobody reads when it is told to stop", async () => {
    await using blob = await layer();
    await using pool = new LayerPool({ threads: 1 });
    const stop = new AbortController();
    pool.open(blob.file, { signal: stop.signal });
    await vi.waitFor(() => expect(isOpen(blob.file.path)).toBe(true), { timeout: 10_000 });
    stop.abort();
    await vi.waitFor(() => expect(isOpen(blob.file.path)).toBe(false), { timeout: 10_000 });
    expect(() => pool.open(blob.file, { signal: stop.signal })).toThrow("aborted");
  });
});
