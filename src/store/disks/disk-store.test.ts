/** The life of a disk in the store: made through windows, found by what it holds, resumed, copied into, removed. */
import { open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf } from "../../oci/digest.ts";
import { openStore, type Store } from "../store.ts";
import type { DiskContent, DiskInfo, PartialDisk } from "./types.ts";

const KEY = digestOf("a disk");
const CHUNK = 500_000;
const SIZE = CHUNK * 4 + 123;

function contentAt(number: number, size = CHUNK): DiskContent & { readonly bytes: Buffer } {
  return { ...sample(size, number + 1), offset: number * CHUNK };
}

async function fill(disk: PartialDisk, content: DiskContent & { readonly bytes: Uint8Array }): Promise<void> {
  await using window = await disk.window(content);
  await window.write(0, content.bytes);
  await window.commit(content);
}

function told({ digest, offset, size }: DiskContent): DiskContent {
  return { digest, offset, size };
}

/** Contents at 0 and 2, a copy of the first at 3; a hole between them and behind. */
async function makeDisk(store: Store): Promise<{ info: DiskInfo; contents: DiskContent[]; bytes: Buffer }> {
  const [first, second] = [contentAt(0), contentAt(2)];
  const copy = { ...first, offset: CHUNK * 3 };
  await using disk = await openPartialDisk(store, KEY, SIZE);
  await fill(disk, second);
  await fill(disk, first);
  await disk.copy({ path: disk.path, offset: 0 }, copy);
  const contents = [first, second, copy].map(told);
  const bytes = Buffer.alloc(SIZE);
  for (const { bytes: from, offset } of [first, second, copy]) from.copy(bytes, offset);
  return { info: await disk.commit(contents), contents, bytes };
}

describe("a disk in the store", () => {
  it("is made through windows, under its key, read-only, and holes stay holes", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { info, contents, bytes } = await makeDisk(store);
    expect(await readFile(info.path)).toEqual(bytes);
    expect(info).toEqual(await store.disks.stat(KEY));
    expect((await stat(info.path)).mode & 0o777).toBe(0o444);
    expect(info.allocatedBytes).toBeLessThan(CHUNK * 3.5);
    expect(await store.disks.contentsOf(KEY)).toEqual(contents);
    expect(await Array.fromAsync(store.disks.list())).toEqual([info]);
    expect(await readdir(`${dir.path}/disks/partial`)).toEqual([]);
    expect(await store.disks.open({ key: KEY, size: SIZE })).toEqual(info);
  });

  it("is found by what it holds, one place for each disk that has it", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { info, contents } = await makeDisk(store);
    const digests = [...contents.map(({ digest }) => digest), digestOf("nothing here")];
    const found = await store.disks.findContents(digests);
    expect([...found.keys()].sort()).toEqual([...new Set(contents.map(({ digest }) => digest))].sort());
    expect(found.get(contents[0]!.digest)).toEqual([{ key: KEY, path: info.path, offset: 0, size: CHUNK }]);
    expect(await store.disks.remove(KEY)).toBe(true);
    expect((await store.disks.findContents(digests)).size).toBe(0);
    expect(await store.disks.stat(KEY)).toBeUndefined();
  });

  it("goes on where the last try stopped", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const [first, second] = [contentAt(0), contentAt(1)];
    {
      await using disk = await openPartialDisk(store, KEY, SIZE);
      await fill(disk, first);
      const window = await disk.window(second);
      await window.write(0, second.bytes.subarray(0, 200_000));
    }
    expect(await Array.fromAsync(store.disks.partials())).toEqual([expect.objectContaining({ key: KEY })]);
    await using disk = await openPartialDisk(store, KEY, SIZE);
    expect([disk.isDone(first), disk.isDone(second)]).toEqual([true, false]);
    await expect(disk.window(first)).rejects.toMatchObject({ code: "INTERNAL" });
    await using window = await disk.window(second);
    expect(window.front).toBe(200_000);
    await expect(disk.commit([first, second])).rejects.toMatchObject({ code: "INTERNAL" });
    await window.write(200_000, second.bytes.subarray(200_000));
    await window.commit(second);
    const info = await disk.commit([first, second]);
    expect(await readFile(info.path)).toEqual(
      Buffer.concat([first.bytes, second.bytes, Buffer.alloc(SIZE - 2 * CHUNK)]),
    );
  });

  it("copies what is larger than a buffer to places that share nothing, and stops when it is told to", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const size = 3_000_007;
    const content = { ...sample(size, 1), offset: 0 };
    const copy = { ...told(content), offset: size };
    await using disk = await openPartialDisk(store, KEY, 2 * size);
    await fill(disk, content);
    const from = { path: disk.path, offset: 0 };
    await expect(disk.copy(from, copy, AbortSignal.abort())).rejects.toMatchObject({ code: "INTERRUPTED" });
    await disk.copy(from, copy);
    const { path } = await disk.commit([told(content), copy]);
    expect(await readFile(path)).toEqual(Buffer.concat([content.bytes, content.bytes]));
  });

  it("may be larger than what 32 bits count, and takes what is in it", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const size = 20 * 2 ** 30 + 777;
    const content = { ...sample(CHUNK, 5), offset: size - CHUNK - 100 };
    {
      await using disk = await openPartialDisk(store, KEY, size);
      await fill(disk, content);
    }
    // In the file that another try left all else is punched.
    await using disk = await openPartialDisk(store, KEY, size);
    const copy = { ...content, offset: 9 * 2 ** 30 + 1 };
    await disk.copy({ path: disk.path, offset: content.offset }, copy);
    const info = await disk.commit([copy, content]);
    expect(info.size).toBe(size);
    expect(info.allocatedBytes).toBeLessThan(3 * CHUNK);
    await using file = await open(info.path);
    for (const { offset, bytes } of [copy, content]) {
      const { buffer } = await file.read(Buffer.alloc(CHUNK), 0, CHUNK, offset);
      expect(buffer.equals(bytes)).toBe(true);
    }
  });

  it("is made anew beside itself, and is there until the new one takes its place", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { info, contents, bytes } = await makeDisk(store);
    const opened = await store.disks.open({ key: KEY, size: SIZE }, { anew: true });
    if (!("commit" in opened)) throw new Error("it was to be made anew");
    await using disk = opened;
    for (const content of contents) await disk.copy({ path: info.path, offset: content.offset }, content);
    expect((await readFile(info.path)).equals(bytes)).toBe(true);
    const { ino } = await stat(info.path);
    await disk.commit(contents);
    expect((await stat(info.path)).ino).not.toBe(ino);
    expect((await readFile(info.path)).equals(bytes)).toBe(true);
    expect(await store.disks.contentsOf(KEY)).toEqual(contents);
  });

  it("is not held for who leases it while it is being removed", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await makeDisk(store);
    const disk = { key: KEY, size: SIZE };
    expect([await store.disks.holds(disk), await store.disks.holds({ ...disk, size: 1 })]).toEqual([true, false]);
    await using lease = await store.leases.create();
    const late = async (): Promise<boolean> => {
      await lease.add(KEY);
      return store.disks.holds(disk);
    };
    expect(await store.disks.remove(KEY, { unless: late })).toBe(true);
    expect(await store.disks.holds(disk)).toBe(false);
  });

  it("is in nobody's way who wants a blob of the same digest", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const bytes = Buffer.from("the very text that a key is made of");
    const key = digestOf(bytes);
    await store.content.writeBytes(key, bytes);
    await using disk = await openPartialDisk(store, key, SIZE);
    expect(await store.content.removeDamaged(key)).toBe(false);
    expect(await store.content.remove(key)).toBe(true);
    expect(disk.isDone(contentAt(0))).toBe(false);
  });

  it("may come whole from outside", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const content = contentAt(0);
    for (const _ of ["new", "there already"]) {
      await using staged = await store.disks.stage();
      await writeFile(staged.path, content.bytes);
      const info = await staged.publish(KEY, [content]);
      expect(info).toMatchObject({ key: KEY, size: CHUNK, path: store.disks.pathOf(KEY) });
    }
    expect((await store.disks.findContents([content.digest])).size).toBe(1);
    expect(await readdir(`${dir.path}/disks/partial`)).toEqual([]);
  });
});
