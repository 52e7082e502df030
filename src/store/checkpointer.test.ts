import { mkdir } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { describe, expect, it, vi } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { Checkpointer } from "./checkpointer.ts";
import { IngestFolder } from "./ingest-folder.ts";
import { Journal } from "./journal.ts";
import { StoreLayout } from "./layout.ts";
import { resume } from "./resume.ts";

const MIB = 1024 * 1024;
const SIZE = 100 * MIB;

async function setUp(root: string, datasync?: () => Promise<void>) {
  const layout = new StoreLayout(root);
  await mkdir(layout.ingests, { recursive: true });
  const folder = new IngestFolder(layout, digestOf("a blob"));
  const options = { folder, size: SIZE, sync: true };
  const resumed = await resume(options);
  const order: string[] = [];
  const file = new Proxy(resumed.file, {
    get(target, property: keyof FileHandle) {
      if (property !== "datasync") return Reflect.get(target, property, target) as unknown;
      return async () => {
        order.push(`data synced before ${(await claims()).length} claims`);
        await (datasync ?? (() => target.datasync()))();
      };
    },
  });
  const claims = async () => (await Journal.read(folder.journal))?.pieces ?? [];
  const checkpointer = new Checkpointer(options, { ...resumed, file });
  const close = async (): Promise<void> => {
    await checkpointer[Symbol.asyncDispose]();
    await resumed.file.close();
  };
  return { checkpointer, claims, order, [Symbol.asyncDispose]: close };
}

function failing(): Promise<void> {
  return Promise.reject(Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO", syscall: "fdatasync" }));
}

describe("checkpoints", () => {
  it("claim data only after it was synced, and claim it once", async () => {
    await using dir = await tempDir();
    await using it = await setUp(dir.path);
    it.checkpointer.wrote(0, new Uint8Array(10), false);
    await it.checkpointer.checkpoint();
    it.checkpointer.zeros(50, 5);
    await Promise.all([it.checkpointer.checkpoint(), it.checkpointer.checkpoint(), it.checkpointer.checkpoint()]);
    expect(it.order).toEqual(["data synced before 0 claims", "data synced before 1 claims"]);
    expect((await it.claims()).map(({ start, end }) => [start, end])).toEqual([
      [0, 10],
      [50, 55],
    ]);
  });

  it("start by themselves when 64 MiB have come", async () => {
    await using dir = await tempDir();
    await using it = await setUp(dir.path);
    for (let at = 0; at < 65 * MIB; at += MIB) it.checkpointer.wrote(at, new Uint8Array(MIB), false);
    await it.checkpointer.stop();
    const claimed = (await it.claims()).reduce((sum, { start, end }) => sum + end - start, 0);
    expect(claimed).toBeGreaterThanOrEqual(64 * MIB);
  });

  it("start by themselves a second after a byte came, so that a stalled transfer is kept", async () => {
    await using dir = await tempDir();
    await using it = await setUp(dir.path);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      it.checkpointer.wrote(0, new Uint8Array(10), false);
      vi.advanceTimersByTime(1000);
    } finally {
      vi.useRealTimers();
    }
    await it.checkpointer.stop();
    expect(await it.claims()).toHaveLength(1);
  });

  it("never claim anything again after a sync failed: the kernel may have dropped the data and call it clean", async () => {
    await using dir = await tempDir();
    await using it = await setUp(dir.path, failing);
    it.checkpointer.wrote(0, new Uint8Array(10), false);
    await expect(it.checkpointer.checkpoint()).rejects.toMatchObject({ code: "IO" });
    await expect(it.checkpointer.checkpoint()).rejects.toMatchObject({ code: "IO" });
    expect(it.checkpointer.broken).toMatchObject({ code: "IO" });
    expect(it.order).toHaveLength(1);
    expect(await it.claims()).toEqual([]);
  });
});
