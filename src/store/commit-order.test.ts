import type * as FsPromises from "node:fs/promises";
import { relative } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { openIngest } from "../../test/kit/store/open-ingest.ts";
import { sample } from "../../test/kit/store/sample.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { openStore } from "./store.ts";

const calls: string[] = [];
/** Syncs of data fail once, as the kernel tells of lost pages once. */
let failing = false;
let root = "";
const shown = (path: unknown): string => relative(root, String(path)).replaceAll(/[0-9a-f]{64}/g, "<hex>");

/** Writes down what is asked of the file system, in order, and lets it happen. */
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof FsPromises>();
  return {
    ...real,
    open: async (path: string, ...rest: []) => {
      const file = await real.open(path, ...rest);
      for (const name of ["chmod", "sync", "datasync", "write"] as const) {
        const method = (file[name] as (...args: unknown[]) => unknown).bind(file);
        Object.assign(file, {
          [name]: (...args: unknown[]) => {
            calls.push(`${name} ${shown(path)}`);
            if (name !== "sync" || !failing || !path.endsWith("data")) return method(...args);
            failing = false;
            throw Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO", syscall: "fsync" });
          },
        });
      }
      return file;
    },
    rename: (from: string, to: string) => {
      calls.push(`rename ${shown(from)} ${shown(to)}`);
      return real.rename(from, to);
    },
    rm: (path: string, ...rest: []) => {
      calls.push(`rm ${shown(path)}`);
      return real.rm(path, ...rest);
    },
  };
});

async function commitAndList(sync: boolean): Promise<string[]> {
  await using dir = await tempDir();
  root = dir.path;
  await using store = await openStore(dir.path, { sync });
  const blob = sample(100);
  await using ingest = await openIngest(store, blob);
  calls.length = 0;
  await ingest.write(0, blob.bytes);
  await ingest.checkpoint();
  await ingest.commit(blob);
  return calls.filter((call) => !call.startsWith("rm ") || !call.endsWith(".trash"));
}

describe("the order in which a blob becomes durable", () => {
  it("is data, claim, data with its mode, name, directory, and only then is the partial removed", async () => {
    expect(await commitAndList(true)).toEqual([
      "write ingest/sha256-<hex>/data",
      "datasync ingest/sha256-<hex>/data",
      "write ingest/sha256-<hex>/journal.new",
      "datasync ingest/sha256-<hex>/journal.new",
      "rename ingest/sha256-<hex>/journal.new ingest/sha256-<hex>/journal",
      "sync ingest/sha256-<hex>",
      "sync ingest",
      "chmod ingest/sha256-<hex>/data",
      "sync ingest/sha256-<hex>/data",
      "rename ingest/sha256-<hex>/data blobs/sha256/<hex>",
      "sync blobs/sha256",
      "rm ingest/sha256-<hex>",
    ]);
  });

  it("ends for good when a sync fails: the next one would find nothing left to write, and say that all is well", async () => {
    await using dir = await tempDir();
    const blob = sample(100);
    {
      await using store = await openStore(dir.path);
      await using ingest = await openIngest(store, blob);
      await ingest.write(0, blob.bytes);
      failing = true;
      await expect(ingest.commit(blob)).rejects.toMatchObject({ code: "IO" });
      await expect(ingest.commit(blob)).rejects.toMatchObject({ code: "IO" });
      await expect(ingest.write(0, blob.bytes)).rejects.toMatchObject({ code: "IO" });
    }
    await using store = await openStore(dir.path);
    expect(await store.content.stat(blob.digest)).toBeUndefined();
    await using again = await openIngest(store, blob);
    expect(again.claimed).toEqual([]);
  });

  it("is left to the system when the store is opened without syncs", async () => {
    expect((await commitAndList(false)).filter((call) => call.includes("sync "))).toEqual([]);
  });
});
