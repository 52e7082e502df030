/** What earlier tries, other programs and attackers leave of a partial disk: it is believed only as far as it is known to be true. */
import { readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf } from "../../oci/digest.ts";
import { fileKey } from "../layout.ts";
import { openStore, type Store } from "../store.ts";
import { DoneLog } from "./done-log.ts";
import type { DiskContent, PartialDisk } from "./types.ts";

const KEY = digestOf("a disk");
const SIZE = 400_000;
type Content = DiskContent & { readonly bytes: Buffer };
const contentAt = (offset: number, size = 100_000): Content => ({ ...sample(size, offset + 1), offset });

async function fill(disk: PartialDisk, content: Content): Promise<void> {
  await using window = await disk.window(content);
  await window.write(0, content.bytes);
  await window.commit(content);
}

/** One place done, one half done. */
async function leavePartial(store: Store): Promise<void> {
  await using disk = await openPartialDisk(store, KEY, SIZE);
  await fill(disk, contentAt(0));
  await using window = await disk.window(contentAt(200_000));
  await window.write(0, contentAt(200_000).bytes.subarray(0, 50_000));
}

async function commitNothing(store: Store, size: number): Promise<Buffer> {
  await using disk = await openPartialDisk(store, KEY, size);
  return readFile((await disk.commit([])).path);
}

describe("stale bytes of a partial disk", () => {
  it("never show: what no content covers is a hole, whatever was there", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await leavePartial(store);
    expect(await commitNothing(store, SIZE)).toEqual(Buffer.alloc(SIZE));
    expect((await store.disks.stat(KEY))!.allocatedBytes).toBe(0);
  });

  it("are dropped when the disk has another size, or the log is of another disk", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const content = contentAt(0);
    await leavePartial(store);
    {
      await using disk = await openPartialDisk(store, KEY, SIZE + 1);
      expect(disk.isDone(content)).toBe(false);
      expect(readdirSync(join(disk.path, "..")).sort()).toEqual(["data", "done"]);
      expect(await readFile(disk.path)).toEqual(Buffer.alloc(SIZE + 1));
    }
    await leavePartial(store);
    const path = join(dir.path, "disks/partial", fileKey(KEY), "done");
    writeFileSync(path, readFileSync(path, "utf8").replace(KEY, digestOf("another")));
    await using disk = await openPartialDisk(store, KEY, SIZE);
    expect(disk.isDone(content)).toBe(false);
  });

  it("are no disk's when somebody has cut the file, or it is gone", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const data = join(dir.path, "disks/partial", fileKey(KEY), "data");
    for (const harm of [() => truncateSync(data, 50_000), () => rmSync(data)]) {
      await leavePartial(store);
      harm();
      await using disk = await openPartialDisk(store, KEY, SIZE);
      expect(disk.isDone(contentAt(0))).toBe(false);
      await using window = await disk.window(contentAt(200_000));
      expect(window.done).toEqual([]);
      await disk.discard();
    }
  });

  it("are not written to through a link", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await leavePartial(store);
    const data = join(dir.path, "disks/partial", fileKey(KEY), "data");
    await rm(data);
    writeFileSync(join(dir.path, "mine"), "precious");
    symlinkSync(join(dir.path, "mine"), data);
    await expect(store.disks.open({ key: KEY, size: SIZE })).rejects.toMatchObject({ code: "IO" });
    expect(readFileSync(join(dir.path, "mine"), "utf8")).toBe("precious");
    expect(store.locks.isDiskHeld(KEY)).toBe(false);
  });

  it("of content that was cut in another way lose to the new cut, durably", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await leavePartial(store);
    const [first, across, apart] = [contentAt(0), contentAt(50_000, 120_000), contentAt(300_000)];
    {
      await using disk = await openPartialDisk(store, KEY, SIZE);
      await fill(disk, apart);
      await using window = await disk.window(across);
      expect([disk.isDone(first), disk.isDone(apart)]).toEqual([false, true]);
      await window.write(0, across.bytes.subarray(0, 10));
    }
    await using disk = await openPartialDisk(store, KEY, SIZE);
    expect([disk.isDone(first), disk.isDone(apart)]).toEqual([false, true]);
    await fill(disk, first);
    const info = await disk.commit([first, apart]);
    const expected = Buffer.alloc(SIZE);
    for (const { bytes, offset } of [first, apart]) bytes.copy(expected, offset);
    expect(await readFile(info.path)).toEqual(expected);
  });
});

describe("the places of a disk", () => {
  it("are refused beyond its ends, over one another, and twice", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await using disk = await openPartialDisk(store, KEY, SIZE);
    const content = contentAt(0);
    const odd = [
      { offset: SIZE - 10 },
      { offset: -1 },
      { offset: 0.5 },
      { size: 0 },
      { size: 2 ** 60 },
      { offset: 2 ** 53 },
    ];
    for (const part of odd) {
      await expect(disk.window({ ...content, ...part })).rejects.toMatchObject({ code: "INTERNAL" });
      await expect(disk.copy({ path: disk.path, offset: 0 }, { ...content, ...part })).rejects.toMatchObject({
        code: "INTERNAL",
      });
    }
    await using _open = await disk.window(content);
    await expect(disk.window(content)).rejects.toMatchObject({ code: "INTERNAL" });
    await expect(disk.window(contentAt(99_999))).rejects.toMatchObject({ code: "INTERNAL" });
    await expect(disk.commit([])).rejects.toMatchObject({ code: "INTERNAL" });
    await _open[Symbol.asyncDispose]();
    await fill(disk, content);
    const again = contentAt(200_000);
    await fill(disk, again);
    await expect(disk.commit([again, content])).rejects.toMatchObject({ code: "INTERNAL" });
    await expect(disk.commit([content, contentAt(100_000), again])).rejects.toMatchObject({ code: "INTERNAL" });
    await disk.commit([content, again]);
    await expect(disk.window(contentAt(300_000))).rejects.toMatchObject({ code: "INTERRUPTED" });
  });

  it("are written anew when what came was not what was announced", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await using disk = await openPartialDisk(store, KEY, SIZE);
    const content = contentAt(0);
    const wrong = contentAt(1);
    {
      await using window = await disk.window(content);
      await window.write(0, wrong.bytes);
      await expect(window.commit(wrong)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    }
    expect(disk.isDone(content)).toBe(false);
    await using window = await disk.window(content);
    expect(window.resumed).toEqual([]);
    await window.writeZeros(0, content.size);
    expect(Buffer.from(await window.read(0, content.size))).toEqual(Buffer.alloc(content.size));
    await window.discard();
    await fill(disk, content);
    await disk.commit([content]);
  });
});

describe("the log of what is done", () => {
  it("cut at any byte, or with any byte changed, says nothing that was not said", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "done");
    const disk = { key: KEY, size: SIZE };
    const contents = [0, 100_000, 200_000].map((offset) => ({
      digest: digestOf(String(offset)),
      size: 99_999,
      offset,
    }));
    {
      await using log = await DoneLog.create(path, disk, contents.slice(0, 1), false);
      for (const content of contents.slice(1)) await log.append([content]);
    }
    const whole = readFileSync(path);
    expect(await DoneLog.read(path, disk)).toEqual(contents);
    expect(await DoneLog.read(path, { ...disk, size: SIZE + 1 })).toBeUndefined();
    const other = join(dir.path, "other");
    for (let at = 0; at < whole.length; at++) {
      writeFileSync(other, whole.subarray(0, at));
      const cut = (await DoneLog.read(other, disk)) ?? [];
      expect(cut).toEqual(contents.slice(0, cut.length));
      const changed = Buffer.from(whole);
      changed[at]! ^= 1;
      writeFileSync(other, changed);
      const found = (await DoneLog.read(other, disk)) ?? [];
      expect(found).toEqual(contents.slice(0, found.length));
      expect(found.length).toBeLessThan(contents.length);
    }
  });
});
