import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { LayerTarget } from "../layer/layer-target.ts";
import { describeLayerThreads } from "../layer/threads.suite.ts";
import { LayerPool } from "./layer-pool.ts";
import { Rising } from "./rising.ts";

describeLayerThreads("a pool of one thread", () => new LayerPool({ threads: 1 }));
describeLayerThreads("a pool of several threads", () => new LayerPool({ threads: 3 }));

const NEVER = { signal: new AbortController().signal };
const MIB = 1 << 20;

describe("LayerPool", () => {
  it("reads only a few MiB ahead of a consumer that takes its time", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "blob");
    const tar = packTree([file("zeros", Buffer.alloc(96 * MIB))]);
    const bytes = gzipSync(tar, { level: 1 });
    await writeFile(path, bytes);
    await using pool = new LayerPool({ threads: 1 });
    const before = process.memoryUsage().arrayBuffers;
    const stream = pool.open({ path, size: bytes.length }, NEVER)[Symbol.asyncIterator]();
    await stream.next();
    // The same thread reads another to its end meanwhile: time enough to run ahead, if it did.
    const whole = { path, size: bytes.length, front: bytes.length, waitFront: () => Promise.resolve() };
    expect(await pool.check(whole, NEVER)).toMatchObject({ size: tar.length });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * MIB);
    let rest = 0;
    for (;;) {
      const { done, value } = await stream.next();
      if (done === true) break;
      rest += value.length;
    }
    expect(rest).toBeGreaterThan(90 * MIB);
  });

  it("ends what is still under way when it is closed, with an error that says so", async () => {
    const pool = new LayerPool({ threads: 1 });
    const front = new Rising();
    const waitFront = (position: number, signal?: AbortSignal): Promise<void> =>
      front.passed(position, signal ?? NEVER.signal);
    const checking = pool.check({ path: import.meta.filename, size: 1e9, front: 0, waitFront }, NEVER);
    const failure = checking.then(
      () => "none",
      (error: unknown) => error,
    );
    await pool[Symbol.asyncDispose]();
    expect(await failure).toMatchObject({ code: "INTERNAL", message: expect.stringMatching(/ended/) });
  });

  it("ends threads that have no more layers to unpack, and starts others for those that come later", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "blob");
    const bytes = gzipSync(packTree([file("one", Buffer.from("one"))]));
    await writeFile(path, bytes);
    const blob = { path, size: bytes.length, front: bytes.length, waitFront: () => Promise.resolve() };
    const counts = { started: 0, ended: 0 };
    const count = (thread: Worker): void => {
      counts.started++;
      thread.once("exit", () => counts.ended++);
    };
    process.on("worker", count);
    using _counting = { [Symbol.dispose]: () => void process.off("worker", count) };
    await using pool = new LayerPool({ unpackJobs: 2 });
    const target = (name: string): LayerTarget => ({ form: "erofs", directory: join(dir.path, name) });
    await Promise.all(["a", "b"].map((name) => pool.unpack(blob, target(name), NEVER)));
    await expect.poll(() => counts).toEqual({ started: 2, ended: 2 });
    await pool.unpack(blob, target("c"), NEVER);
    await expect.poll(() => counts).toEqual({ started: 3, ended: 3 });
  });

  it("may be closed without having been used, and twice", async () => {
    const pool = new LayerPool();
    await pool[Symbol.asyncDispose]();
    await pool[Symbol.asyncDispose]();
  });
});
