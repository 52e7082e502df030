import { appendFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf } from "../../oci/digest.ts";
import { openStore } from "../store.ts";
import { Borders, type BordersOf } from "./borders.ts";

const MIB = 1024 * 1024;
const OF: BordersOf = { size: 500 * MIB, content: digestOf("content"), blob: digestOf("blob") };
const border = (mib: number): { encoded: number; decoded: number } => ({ encoded: mib * 1000, decoded: mib * MIB });

async function note(path: string, of: BordersOf, ...mibs: readonly number[]): Promise<void> {
  await using borders = await Borders.open(path, of);
  for (const mib of mibs) borders.note(border(mib));
}

async function before(path: string, front: number, of: BordersOf = OF): Promise<unknown> {
  await using borders = await Borders.open(path, of);
  return borders.before(front * MIB);
}

describe("borders", () => {
  it("are kept for the next process, those that are far enough apart and go on", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "borders");
    await note(path, OF, 8, 9, 16, 8, 16, 501);
    expect(await before(path, 7)).toBeUndefined();
    expect(await before(path, 8)).toEqual(border(8));
    expect(await before(path, 15)).toEqual(border(8));
    expect(await before(path, 500)).toEqual(border(16));
    await note(path, OF, 24);
    expect(await before(path, 500)).toEqual(border(24));
  });

  it("are of one blob and one content: those of others are forgotten", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "borders");
    for (const other of [{ blob: digestOf("x") }, { content: digestOf("x") }]) {
      await note(path, OF, 8, 16, 24);
      expect(await before(path, 100, { ...OF, ...other })).toBeUndefined();
      await note(path, { ...OF, ...other }, 12);
      expect(await before(path, 100, { ...OF, ...other })).toEqual(border(12));
      expect(await before(path, 100)).toBeUndefined();
    }
  });

  it("end where a line is torn, changed, or goes back, and go on from there", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "borders");
    await note(path, OF, 8, 16);
    const whole = readFileSync(path, "latin1");
    for (const tail of [
      "bor",
      "border 99999 99999 00000000\n",
      `${whole.split("\n")[1]}\n`,
      "\n\n",
      "\0".repeat(5000),
    ]) {
      writeFileSync(path, whole);
      appendFileSync(path, tail);
      expect(await before(path, 100)).toEqual(border(16));
      await note(path, OF, 24);
      expect(await before(path, 100)).toEqual(border(24));
    }
    for (let at = 0; at < whole.length; at++) {
      writeFileSync(path, whole.slice(0, at));
      const found = await before(path, 100);
      expect([undefined, border(8), border(16)]).toContainEqual(found);
    }
  });

  it("take little room, however many are told", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "borders");
    const size = 2 ** 40;
    const of = { ...OF, size };
    {
      await using borders = await Borders.open(path, of);
      for (let at = MIB; at < size; at += Math.floor(size / 20_000)) borders.note({ encoded: at, decoded: at });
    }
    expect(statSync(path).size).toBeLessThan(512 * 1024);
    expect(await before(path, size / MIB, of)).toBeDefined();
    writeFileSync(path, Buffer.alloc(2 * MIB));
    expect(await before(path, size / MIB, of)).toBeUndefined();
  });

  it("go with what a window has made: they stay with progress, and leave when it is discarded", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const content = { ...sample(64 * 1024, 3), size: 64 * MIB, offset: 12_345 };
    const open = () => openPartialDisk(store, digestOf("a disk"), 65 * MIB);
    {
      await using disk = await open();
      await using window = await disk.window(content, { blob: OF.blob! });
      await window.write(0, content.bytes);
      window.checkpoints.note(border(8));
    }
    await using disk = await open();
    {
      await using window = await disk.window(content, { blob: OF.blob! });
      expect(window.checkpoints.before(9 * MIB)).toEqual(border(8));
      await window.discard();
    }
    await using window = await disk.window(content, { blob: OF.blob! });
    expect(window.checkpoints.before(9 * MIB)).toBeUndefined();
  });
});
