/**
 * A disk against a plain buffer of bytes: whatever is written, written wrongly, taken back, left half done, copied or cut in another way before,
 * the disk comes out as the buffer, and takes no more space than what is in it.
 */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createRng, type Rng } from "../../../test/kit/images/rng.ts";
import { DISK_FILE_SYSTEMS } from "../../../test/kit/disk/file-systems.ts";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { HOLE_BLOCK } from "../../codec/zero-runs.ts";
import { digestOf } from "../../oci/digest.ts";
import { withoutFfi } from "../../sys/libc.ts";
import { openStore, type Store } from "../store.ts";
import type { DiskContent, DiskWindow } from "./types.ts";

/** As large chunks of 500,000,000 bytes are, no multiple of a block; and one that is. */
const CUTS = [50_000, 65_536, 131_072 + 512];
const KEY = digestOf("a disk");

interface Model {
  readonly bytes: Buffer;
  /** Ascending. */
  readonly contents: readonly DiskContent[];
}

/** Runs of data and of zeros, some of them whole blocks. */
function randomBytes(rng: Rng, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size;) {
    const length = [1, 700, HOLE_BLOCK, 3 * HOLE_BLOCK, 20_000, 70_000][rng.int(6)]!;
    if (rng.int(2) === 0)
      for (let index = at; index < Math.min(size, at + length); index++) bytes[index] = 1 + rng.int(255);
    at += length;
  }
  return bytes;
}

/** A disk of contents and of holes between them; now and then the same content at two places. */
function randomDisk(rng: Rng): Model {
  const cut = CUTS[rng.int(CUTS.length)]!;
  const size = cut * (2 + rng.int(4)) + rng.int(5000);
  const bytes = Buffer.alloc(size);
  const contents: DiskContent[] = [];
  for (let offset = 0; offset < size; offset += cut) {
    if (rng.int(4) === 0) continue;
    const length = Math.min(cut, size - offset);
    const twin = contents[0];
    const content =
      twin !== undefined && twin.size === length && rng.int(3) === 0
        ? bytes.subarray(twin.offset, twin.offset + length)
        : randomBytes(rng, length);
    bytes.set(content, offset);
    contents.push({ digest: digestOf(content), size: length, offset });
  }
  return { bytes, contents };
}

/** Writes what is missing below `end`, in pieces from anywhere. */
async function writeSome(rng: Rng, window: DiskWindow, content: Buffer, end: number): Promise<void> {
  const pieces: [number, number][] = [];
  for (let at = 0; at < end;) {
    const stop = Math.min(end, at + 1 + rng.int(30_000));
    if (!window.done.some(({ start, end: to }) => start <= at && stop <= to)) pieces.push([at, stop]);
    at = stop;
  }
  pieces.sort(() => rng.int(3) - 1);
  await Promise.all(
    pieces.map(([start, stop]) => {
      const piece = content.subarray(start, stop);
      const isZero = piece.every((byte) => byte === 0);
      return isZero && rng.int(2) === 0 ? window.writeZeros(start, stop - start) : window.write(start, piece);
    }),
  );
}

/** One try: some contents are made, some left half done, some made wrongly and thrown away. @returns whether any were */
async function work(rng: Rng, store: Store, { bytes, contents }: Model): Promise<boolean> {
  let isWasteful = false;
  await using disk = await openPartialDisk(store, KEY, bytes.length);
  for (const content of contents) {
    if (disk.isDone(content) || rng.int(4) === 0) continue;
    const twin = contents.find((other) => other.digest === content.digest && disk.isDone(other));
    if (twin !== undefined && rng.int(2) === 0) {
      await disk.copy({ path: disk.path, offset: twin.offset }, content);
      continue;
    }
    await using window = await disk.window(content);
    const mine = bytes.subarray(content.offset, content.offset + content.size);
    const how = rng.int(4);
    if (how === 0) {
      isWasteful = true;
      await window.write(0, Buffer.alloc(content.size, 0xee));
      if (rng.int(2) === 0) await window.discard();
      else window.forget(0, content.size);
    }
    if (how === 1) await writeSome(rng, window, mine, rng.int(content.size));
    if (how <= 1) continue;
    await writeSome(rng, window, mine, content.size);
    await window.commit(content);
  }
  return isWasteful;
}

/** The same key, cut otherwise: what that leaves is no help and must do no harm. */
async function workOtherwise(rng: Rng, store: Store, { bytes }: Model): Promise<void> {
  await using disk = await openPartialDisk(store, KEY, bytes.length);
  const [offset, size] = [rng.int(bytes.length / 2), 1 + rng.int(bytes.length / 2)];
  const other = Buffer.alloc(size, 0xdd);
  await using window = await disk.window({ digest: digestOf(other), size, offset });
  await window.write(0, other);
  if (rng.int(2) === 0) await window.commit({ digest: digestOf(other), size });
}

async function finish(rng: Rng, store: Store, { bytes, contents }: Model): Promise<void> {
  await using disk = await openPartialDisk(store, KEY, bytes.length);
  for (const content of contents) {
    if (disk.isDone(content)) continue;
    await using window = await disk.window(content);
    await writeSome(rng, window, bytes.subarray(content.offset, content.offset + content.size), content.size);
    await window.commit(content);
  }
  await disk.commit(contents);
}

function blocksOf(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at += HOLE_BLOCK) {
    if (bytes.subarray(at, at + HOLE_BLOCK).some((byte) => byte !== 0)) count++;
  }
  return count;
}

describe("a disk where no hole can be made again", () => {
  it("keeps those that are there, also in what another try left", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path, { sync: false });
    const [size, data] = [64 << 20, Buffer.alloc(8192, 7)];
    const content = { digest: digestOf(data), size: data.length, offset: 1 << 20 };
    const wrong = Buffer.alloc(100_000, 9);
    {
      await using disk = await openPartialDisk(store, KEY, size);
      await using window = await disk.window(content);
      await window.write(0, data);
      await window.commit(content);
      await using beside = await disk.window({ digest: digestOf("x"), size: wrong.length, offset: 30_000_001 });
      await beside.write(0, wrong);
    }
    await using disk = await openPartialDisk(store, KEY, size);
    using _ = withoutFfi();
    const info = await disk.commit([content]);
    expect(info.allocatedBytes).toBeLessThanOrEqual(data.length + wrong.length + 2 * HOLE_BLOCK);
    const bytes = await readFile(info.path);
    expect(bytes.subarray(content.offset, content.offset + content.size).equals(data)).toBe(true);
    bytes.fill(0, content.offset, content.offset + content.size);
    expect(bytes.equals(Buffer.alloc(size))).toBe(true);
  });
});

describe.each(DISK_FILE_SYSTEMS)("a disk of the store on $name", (fileSystem) => {
  const { missing, shares } = fileSystem;
  it.skipIf(missing !== undefined)(
    `is what was written, and holes stay holes${missing === undefined ? "" : ` (${missing})`}`,
    async () => {
      await using dir = await fileSystem.make();
      await using store = await openStore(dir.path, { sync: false });
      for (let seed = 1; seed <= 12; seed++) {
        const rng = createRng(seed);
        const model = randomDisk(rng);
        let isWasteful = rng.int(3) === 0;
        if (isWasteful) await workOtherwise(rng, store, model);
        for (let tries = rng.int(4); tries > 0; tries--) {
          if (await work(rng, store, model)) isWasteful = true;
        }
        await finish(rng, store, model);
        const info = (await store.disks.stat(KEY))!;
        expect((await readFile(info.path)).equals(model.bytes), `seed ${seed}`).toBe(true);
        // Where wrong bytes were, blocks that are cleared in parts stay; and who shares blocks takes some more ahead of writing to them.
        const blocks = blocksOf(model.bytes) + (isWasteful || shares ? 64 : 8);
        expect(info.allocatedBytes, `seed ${seed}`).toBeLessThanOrEqual(blocks * HOLE_BLOCK);
        expect(await store.disks.remove(KEY)).toBe(true);
      }
    },
  );
});
