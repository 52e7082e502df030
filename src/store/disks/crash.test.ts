/** Processes that are killed while they make disks, at every step, and those that come after them. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { startStoreProcess } from "../../../test/kit/store/store-process.ts";
import { twoContents } from "../../../test/kit/store/two-contents.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { openStore, type Store } from "../store.ts";

const SIZE = 1_000_000;
const SEED = 6;
const disk = sample(SIZE, SEED);
const { key, contents } = twoContents(disk);
const told = contents.map(({ digest, size, offset }) => ({ digest, size, offset }));
const [first, second] = contents as [(typeof contents)[number], (typeof contents)[number]];
const JOB = { size: SIZE, seed: SEED } as const;

/** Makes what is missing of it. @returns which contents were done before */
async function finish(store: Store): Promise<boolean[]> {
  await using partial = await openPartialDisk(store, key, SIZE);
  const done = contents.map((content) => partial.isDone(content));
  for (const content of contents) {
    if (partial.isDone(content)) continue;
    await using window = await partial.window(content);
    await window.write(0, content.bytes);
    await window.commit(content);
  }
  await partial.commit(contents);
  return done;
}

async function expectWhole(store: Store, root: string): Promise<void> {
  expect(await readFile(store.disks.pathOf(key))).toEqual(disk.bytes);
  expect(await store.disks.contentsOf(key)).toEqual(told);
  expect(await store.disks.findContents([second.digest])).toEqual(
    new Map([[second.digest, [{ key, path: store.disks.pathOf(key), offset: second.offset, size: second.size }]]]),
  );
  expect(await store.disks.open({ key, size: SIZE })).toMatchObject({ key, size: SIZE });
  expect(await readdir(join(root, "disks/partial"))).toEqual([]);
  expect((await readdir(join(root, "locks"))).filter((name) => name.startsWith("disk-"))).toEqual([]);
}

describe("a process that is killed while it makes a disk", () => {
  // Both windows and then the disk go through the steps of the same names.
  it.each([
    { dieAt: "synced", nth: 1, done: [false, false] },
    { dieAt: "recorded", nth: 1, done: [true, false] },
    { dieAt: "removed", nth: 1, done: [true, false] },
    { dieAt: "synced", nth: 2, done: [true, false] },
    { dieAt: "recorded", nth: 2, done: [true, true] },
    { dieAt: "synced", nth: 3, done: [true, true] },
    { dieAt: "recorded", nth: 3, done: [true, true] },
  ])("leaves what is done to the next one: $dieAt, $nth", async ({ dieAt, nth, done }) => {
    await using dir = await tempDir();
    await using child = startStoreProcess({ ...JOB, root: dir.path, act: "disk", dieAt, nth });
    expect(await child.ended()).toMatchObject({ signal: "SIGKILL" });
    await using store = await openStore(dir.path);
    expect(await store.disks.stat(key)).toBeUndefined();
    expect((await store.disks.findContents([first.digest])).size).toBe(0);
    expect(await store.disks.contentsOf(key)).toEqual([]);
    expect(await finish(store)).toEqual(done);
    await expectWhole(store, dir.path);
  });

  it.each([
    { dieAt: "renamed", nth: 1 },
    { dieAt: "names-synced", nth: 1 },
    { dieAt: "removed", nth: 3 },
  ])("leaves a disk once it has its name: $dieAt", async ({ dieAt, nth }) => {
    await using dir = await tempDir();
    await using child = startStoreProcess({ ...JOB, root: dir.path, act: "disk", dieAt, nth });
    expect(await child.ended()).toMatchObject({ signal: "SIGKILL" });
    await using store = await openStore(dir.path);
    await expectWhole(store, dir.path);
  });

  it.each(["trashed", "removed"])("leaves nothing partial under the key: discard, %s", async (dieAt) => {
    await using dir = await tempDir();
    const nth = dieAt === "removed" ? 3 : 1;
    await using child = startStoreProcess({ ...JOB, root: dir.path, act: "discard-disk", dieAt, nth });
    expect(await child.ended()).toMatchObject({ signal: "SIGKILL" });
    await using store = await openStore(dir.path);
    expect(await Array.fromAsync(store.disks.partials())).toEqual([]);
    expect(await store.collectGarbage()).toMatchObject({ partialDisks: { count: dieAt === "trashed" ? 1 : 0 } });
    expect(await finish(store)).toEqual([false, false]);
    await expectWhole(store, dir.path);
  });
});

describe("two processes that want one disk", () => {
  it("inherit: when the first is killed, the second goes on where it stopped", async () => {
    await using dir = await tempDir();
    const job = { ...JOB, root: dir.path, act: "disk" } as const;
    await using one = startStoreProcess({ ...job, writeUpTo: 300_000 });
    await one.said("holding");
    await using store = await openStore(dir.path);
    await expect(store.disks.open({ key, size: SIZE }, { wait: false })).rejects.toMatchObject({ code: "STORE_BUSY" });
    expect(await store.disks.removePartial(key)).toBe(false);
    expect(await store.collectGarbage({ partialsOlderThanMs: 0 })).toMatchObject({ partialDisks: { count: 0 } });
    await using other = startStoreProcess(job);
    await other.said("waiting");
    await one.kill();
    expect((await other.ended()).words).toEqual(["waiting", "done:0", "resumed:300000", "done"]);
    await expectWhole(store, dir.path);
  });

  it("take turns: the second waits and finds it there", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await using partial = await openPartialDisk(store, key, SIZE);
    await using other = startStoreProcess({ ...JOB, root: dir.path, act: "disk" });
    await other.said("waiting");
    for (const content of contents) {
      await using window = await partial.window(content);
      await window.write(0, content.bytes);
      await window.commit(content);
    }
    await partial.commit(contents);
    expect((await other.ended()).words).toEqual(["waiting", "present"]);
  });

  it("do not take the files of imports from one another, only from the dead", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await using other = await openStore(dir.path);
    await using staged = await store.disks.stage();
    expect(existsSync(staged.path)).toBe(false);
    expect(await other.collectGarbage({ partialsOlderThanMs: 0 })).toMatchObject({ partialDisks: { count: 0 } });
  });
});
