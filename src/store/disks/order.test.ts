/** What is asked of the file system while a disk is made, in which order, and what becomes of a disk when a sync fails. */
import type * as FsPromises from "node:fs/promises";
import { relative } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf } from "../../oci/digest.ts";
import { openStore } from "../store.ts";

const KEY = digestOf("a disk");
const SIZE = 300_000;
const contentAt = (offset: number) => ({ ...sample(100_000, offset + 1), offset });

const calls: string[] = [];
/** The next sync of a disk's data fails so, once, as the kernel tells of lost pages once. */
let failing: string | undefined;
/** Syncs of this folder fail. */
let failingFolder: string | undefined;
let root = "";
const shown = (path: unknown): string => relative(root, String(path)).replaceAll(/[0-9a-f]{64}/g, "<hex>") || ".";

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
            if (shown(path) === failingFolder && name === "sync") {
              throw Object.assign(new Error("EIO"), { code: "EIO", syscall: "fsync" });
            }
            if (!name.endsWith("sync") || failing === undefined || !path.endsWith("data")) return method(...args);
            const error = Object.assign(new Error(failing), { code: failing, syscall: name });
            failing = undefined;
            throw error;
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

beforeEach(() => {
  failing = undefined;
  failingFolder = undefined;
});

const PARTIAL = "disks/partial/sha256-<hex>";

async function makeAndList(sync: boolean): Promise<string[]> {
  await using dir = await tempDir();
  root = dir.path;
  await using store = await openStore(dir.path, { sync });
  await store.images.list();
  calls.length = 0;
  await using disk = await openPartialDisk(store, KEY, SIZE);
  const content = contentAt(0);
  await using window = await disk.window(content);
  await window.write(0, content.bytes);
  await window.checkpoint();
  await window.commit(content);
  await disk.commit([content]);
  return calls.filter((call) => !call.startsWith("rm ") || !call.endsWith(".trash"));
}

describe("the order in which a disk becomes durable", () => {
  it("is of a place data, claim, data, that it is done; of the disk data with its mode, name, directory", async () => {
    expect(await makeAndList(true)).toEqual([
      `rm ${PARTIAL}`,
      `write ${PARTIAL}/done.new`,
      `datasync ${PARTIAL}/done.new`,
      `rename ${PARTIAL}/done.new ${PARTIAL}/done`,
      `sync ${PARTIAL}`,
      "sync disks/partial",
      "sync disks",
      "sync .",
      `write ${PARTIAL}/data`,
      `datasync ${PARTIAL}/data`,
      `write ${PARTIAL}/0/journal.new`,
      `datasync ${PARTIAL}/0/journal.new`,
      `rename ${PARTIAL}/0/journal.new ${PARTIAL}/0/journal`,
      `sync ${PARTIAL}/0`,
      `sync ${PARTIAL}`,
      `datasync ${PARTIAL}/data`,
      // That it is done: the file was opened under its first name.
      `write ${PARTIAL}/done.new`,
      `datasync ${PARTIAL}/done.new`,
      `rm ${PARTIAL}/0`,
      `chmod ${PARTIAL}/data`,
      `sync ${PARTIAL}/data`,
      `rename ${PARTIAL}/data disks/sha256/<hex>`,
      "sync disks/sha256",
      "sync disks",
      `rm ${PARTIAL}`,
    ]);
  });

  it("is left to the system when the store is opened without syncs", async () => {
    expect((await makeAndList(false)).filter((call) => call.includes("sync "))).toEqual([]);
  });

  it.each([
    ["EIO", "IO"],
    ["ENOSPC", "NO_SPACE"],
    ["EDQUOT", "NO_SPACE"],
  ])("ends the work on all places when a sync fails with %s, and loses none that was done", async (errno, code) => {
    await using dir = await tempDir();
    root = dir.path;
    const [done, failed, beside] = [contentAt(0), contentAt(100_000), contentAt(200_000)];
    {
      await using store = await openStore(dir.path);
      await using disk = await openPartialDisk(store, KEY, SIZE);
      await using first = await disk.window(done);
      await first.write(0, done.bytes);
      await first.commit(done);
      await using second = await disk.window(failed);
      await using third = await disk.window(beside);
      await second.write(0, failed.bytes);
      await third.write(0, beside.bytes);
      failing = errno;
      await expect(second.commit(failed)).rejects.toMatchObject({ code });
      // Its pages may be among those that were lost.
      await expect(third.commit(beside)).rejects.toMatchObject({ code });
      await expect(disk.commit([done])).rejects.toMatchObject({ code: "INTERNAL" });
    }
    await using store = await openStore(dir.path);
    await using disk = await openPartialDisk(store, KEY, SIZE);
    expect([done, failed, beside].map((content) => disk.isDone(content))).toEqual([true, false, false]);
    await using again = await disk.window(failed);
    expect(again.done).toEqual([]);
  });

  it("leaves a disk that has its name alone, though the name's sync fails", async () => {
    await using dir = await tempDir();
    root = dir.path;
    await using store = await openStore(dir.path);
    await using disk = await openPartialDisk(store, KEY, SIZE);
    const content = contentAt(0);
    await using window = await disk.window(content);
    await window.write(0, content.bytes);
    await window.commit(content);
    failingFolder = "disks/sha256";
    await expect(disk.commit([content])).rejects.toMatchObject({ code: "IO" });
    failingFolder = undefined;
    await expect(disk.window(contentAt(100_000))).rejects.toMatchObject({ code: "INTERRUPTED" });
    await expect(disk.copy({ path: disk.path, offset: 0 }, contentAt(100_000))).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
    await disk[Symbol.asyncDispose]();
    expect(await store.disks.open({ key: KEY, size: SIZE })).toMatchObject({ key: KEY, path: disk.path });
  });

  it("serves several places with one sync", async () => {
    await using dir = await tempDir();
    root = dir.path;
    await using store = await openStore(dir.path);
    await using disk = await openPartialDisk(store, KEY, SIZE);
    const contents = [0, 100_000, 200_000].map(contentAt);
    const windows = await Promise.all(contents.map((content) => disk.window(content)));
    await Promise.all(windows.map((window, index) => window.write(0, contents[index]!.bytes)));
    calls.length = 0;
    await Promise.all(windows.map((window) => window.checkpoint()));
    expect(calls.filter((call) => call.startsWith("datasync") && call.endsWith("data")).length).toBeLessThanOrEqual(2);
    for (const window of windows) await window[Symbol.asyncDispose]();
  });
});
