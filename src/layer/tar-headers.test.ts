import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { file, type TreeNode } from "../../test/kit/trees/tree-node.ts";
import type { TarEntry, TarHandler } from "../codec/tar/entry.ts";
import { TarParser } from "../codec/tar/parser.ts";
import { readHeaders } from "./tar-headers.ts";

/** What a handler learns that does not want payload: members, where they begin, what is between them. */
class Notes implements TarHandler {
  readonly members: [name: string, position: number][] = [];
  readonly raw_: Buffer[] = [];
  position = 0;
  ended = 0;

  raw(bytes: Uint8Array): void {
    this.position += bytes.length;
    this.raw_.push(Buffer.from(bytes));
  }

  entry({ name }: TarEntry): void {
    this.members.push([name, this.position]);
  }

  data(bytes: Uint8Array): void {
    this.position += bytes.length;
  }

  skip(length: number): void {
    this.position += length;
  }

  endEntry(): void {
    this.ended++;
  }

  get raws(): Buffer {
    return Buffer.concat(this.raw_);
  }
}

async function notesOf(tar: Uint8Array): Promise<{ readonly notes: Notes; readonly read: number }> {
  await using dir = await tempDir();
  const path = join(dir.path, "tar");
  writeFileSync(path, tar);
  const fd = openSync(path, "r");
  try {
    const notes = new Notes();
    return { notes, read: readHeaders(fd, notes) };
  } finally {
    closeSync(fd);
  }
}

const sized = (sizes: readonly number[]): TreeNode[] => sizes.map((size, n) => file(`f${n}`, Buffer.alloc(size, 1)));

describe("reading headers only", () => {
  it("tells the same as reading all", async () => {
    const size = fc.oneof(fc.nat(2000), fc.constantFrom(0, 512, 4096, 8191, 100_000, 400_000));
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 12 }), async (sizes) => {
        const tar = packTree(sized(sizes));
        const whole = new Notes();
        new TarParser(whole).write(tar);
        const { notes } = await notesOf(tar);
        expect([notes.members, notes.ended]).toEqual([whole.members, whole.ended]);
        expect(notes.raws.subarray(0, whole.raws.length).equals(whole.raws)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("passes over large payload", async () => {
    const { notes, read } = await notesOf(packTree(sized([8_000_000, 8_000_000, 100, 8_000_000])));
    expect(notes.members).toHaveLength(4);
    expect(read).toBeLessThan(100_000);
  });

  it("sees an archive that ends within payload", async () => {
    const cut = packTree(sized([1_000_000])).subarray(0, 500_000);
    await expect(notesOf(cut)).rejects.toMatchObject({ code: "LAYER_INVALID" });
  });

  it("leaves alone what follows the archive", async () => {
    const { notes, read } = await notesOf(Buffer.concat([packTree(sized([10])), Buffer.alloc(5_000_000, 1)]));
    expect([notes.members.length, read < 100_000]).toEqual([1, true]);
  });
});
