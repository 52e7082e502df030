import { spawnSync } from "node:child_process";
import { appendFile, mkdir, open, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openIngest } from "../../test/kit/store/open-ingest.ts";
import { sample, type Sample } from "../../test/kit/store/sample.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { encodeHeader, encodePiece, MAX_PIECE_BYTES, parseJournal } from "./journal-format.ts";
import { newPieceKey, PieceSum } from "./piece-sum.ts";
import { RangeSet } from "./range-set.ts";
import { openStore } from "./store.ts";
import type { ByteRange } from "./types.ts";

const folderOf = (root: string, { digest }: Sample): string => join(root, "ingest", digest.replace(":", "-"));

/** A partial blob of three stretches, each recorded by a checkpoint of its own. */
async function leavePartial(root: string, blob: Sample): Promise<void> {
  await using store = await openStore(root, { sync: false });
  await using ingest = await openIngest(store, blob);
  for (const { start, end } of STRETCHES) {
    await ingest.write(start, blob.bytes.subarray(start, end));
    await ingest.checkpoint();
  }
}

async function resumedFrom(root: string, blob: Sample): Promise<readonly ByteRange[]> {
  await using store = await openStore(root, { sync: false });
  await using ingest = await openIngest(store, blob);
  return ingest.resumed;
}

const STRETCHES = [
  { start: 0, end: 1000 },
  { start: 2000, end: 3000 },
  { start: 5000, end: 6000 },
];
const blob = sample(10_000);

describe("resuming", () => {
  it("from a journal cut at any byte goes on from the whole records before the cut", async () => {
    await using dir = await tempDir();
    await leavePartial(dir.path, blob);
    const folder = folderOf(dir.path, blob);
    const [journal, data] = await Promise.all([readFile(join(folder, "journal")), readFile(join(folder, "data"))]);
    const end = journal.findLastIndex((byte) => byte !== 0) + 1;
    const seen = new Set<number>();
    for (let cut = 0; cut <= end; cut++) {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "data"), data);
      await writeFile(join(folder, "journal"), journal.subarray(0, cut));
      const resumed = await resumedFrom(dir.path, blob);
      expect(resumed).toEqual(STRETCHES.slice(0, resumed.length));
      seen.add(resumed.length);
    }
    expect([...seen]).toEqual([0, 1, 2, 3]);
  });

  it("goes on for ever after a torn tail: it is not appended to", async () => {
    await using dir = await tempDir();
    await leavePartial(dir.path, blob);
    const journal = join(folderOf(dir.path, blob), "journal");
    const whole = await readFile(journal);
    await writeFile(
      journal,
      whole.subarray(
        0,
        whole.findLastIndex((byte) => byte !== 0),
      ),
    );
    {
      await using store = await openStore(dir.path, { sync: false });
      await using ingest = await openIngest(store, blob);
      expect(ingest.resumed).toEqual(STRETCHES.slice(0, 2));
      await ingest.write(9000, blob.bytes.subarray(9000));
    }
    expect(await resumedFrom(dir.path, blob)).toEqual([...STRETCHES.slice(0, 2), { start: 9000, end: 10_000 }]);
  });

  it("drops just the pieces whose bytes are not what they were", async () => {
    await using dir = await tempDir();
    await leavePartial(dir.path, blob);
    const data = await open(join(folderOf(dir.path, blob), "data"), "r+");
    await data.write(Buffer.from([blob.bytes[2500]! ^ 1]), 0, 1, 2500);
    await data.close();
    expect(await resumedFrom(dir.path, blob)).toEqual([STRETCHES[0], STRETCHES[2]]);
  });

  it.each([
    ["shorter", 5500, STRETCHES.slice(0, 2)],
    ["empty", 0, []],
    ["longer", 50_000, STRETCHES],
  ])("from a file that became %s keeps what is in it and still commits", async (_, length, expected) => {
    await using dir = await tempDir();
    await leavePartial(dir.path, blob);
    const data = join(folderOf(dir.path, blob), "data");
    await truncate(data, length);
    await using store = await openStore(dir.path, { sync: false });
    await using ingest = await openIngest(store, blob);
    expect(ingest.resumed).toEqual(expected);
    expect((await stat(data)).size).toBe(blob.size);
    await ingest.write(0, blob.bytes);
    await ingest.commit(blob);
    expect(await readFile(join(dir.path, "blobs/sha256", blob.digest.slice(7)))).toEqual(blob.bytes);
  });

  it("believes no journal that lies", async () => {
    await using dir = await tempDir();
    const big = sample(MAX_PIECE_BYTES * 2);
    const key = newPieceKey();
    const header = { digest: big.digest, size: big.size, key };
    const sum = new PieceSum(key).update(Buffer.from("not the blob")).digest();
    const lies = [
      { start: 0, end: 4096, sum },
      { start: 4096, end: 8192 },
      ...Array.from({ length: 50 }, () => ({ start: 0, end: MAX_PIECE_BYTES, sum })),
    ];
    const journals = {
      "sums and zeros that are not so": [encodeHeader(header), ...lies.map(encodePiece)],
      "another blob": [encodeHeader({ ...header, digest: digestOf("x") }), encodePiece({ start: 0, end: 9 })],
      "another size": [encodeHeader({ ...header, size: 9 }), encodePiece({ start: 0, end: 9 })],
      "no journal": [Buffer.from("{}".repeat(50))],
    };
    for (const bytes of Object.values(journals)) {
      const folder = folderOf(dir.path, big);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "data"), big.bytes);
      await writeFile(join(folder, "journal"), Buffer.concat(bytes));
      expect(await resumedFrom(dir.path, big)).toEqual([]);
    }
  });

  it("fetches everything again when a journal lies so well that the blob turns out wrong", async () => {
    await using dir = await tempDir();
    await leavePartial(dir.path, sample(10_000, 7));
    const other = folderOf(dir.path, sample(10_000, 7));
    const folder = folderOf(dir.path, blob);
    const { header, pieces } = parseJournal(await readFile(join(other, "journal")))!;
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "data"), await readFile(join(other, "data")));
    const forged = [encodeHeader({ ...header, digest: blob.digest }), ...pieces.map(encodePiece)];
    await writeFile(join(folder, "journal"), Buffer.concat(forged));

    await using store = await openStore(dir.path, { sync: false });
    {
      await using poisoned = await openIngest(store, blob);
      expect(poisoned.resumed).toEqual(STRETCHES);
      for (const { start, end } of new RangeSet(poisoned.done).missing(0, blob.size)) {
        await poisoned.write(start, blob.bytes.subarray(start, end));
      }
      const computed = { digest: digestOf(await poisoned.read(0, 10_000)), size: 10_000 };
      await expect(poisoned.commit(computed)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    }
    await using ingest = await openIngest(store, blob);
    expect(ingest.resumed).toEqual([]);
    await ingest.write(0, blob.bytes);
    await ingest.commit(blob);
  });

  it("keeps zeros as zeros where an unrecorded write of the dead process left bytes", async () => {
    await using dir = await tempDir();
    await leavePartial(dir.path, blob);
    const data = await open(join(folderOf(dir.path, blob), "data"), "r+");
    await data.write(Buffer.alloc(900, 0xee), 0, 900, 1050);
    await data.close();
    await using store = await openStore(dir.path, { sync: false });
    await using ingest = await openIngest(store, blob);
    await ingest.writeZeros(1000, 1000);
    expect(Buffer.from(await ingest.read(1000, 1000))).toEqual(Buffer.alloc(1000));
    expect(Buffer.from(await ingest.read(0, 1000))).toEqual(blob.bytes.subarray(0, 1000));
  });

  it("ignores what else lies in the folder of ingests", async () => {
    await using dir = await tempDir();
    await leavePartial(dir.path, blob);
    await mkdir(join(dir.path, "ingest/sha256-short"));
    await appendFile(join(dir.path, "ingest/notes.txt"), "hello");
    await using store = await openStore(dir.path);
    expect(await Array.fromAsync(store.content.ingests(), ({ digest }) => digest)).toEqual([blob.digest]);
  });
});

describe.skipIf(process.getuid?.() !== 0)("a full disk (needs root, to mount a tiny one)", () => {
  it("fails with NO_SPACE, keeps what was done, and goes on when there is space again", async (context) => {
    await using dir = await tempDir();
    const mount = (...args: string[]): number | null => spawnSync("mount", [...args, dir.path]).status;
    if (mount("-t", "tmpfs", "-o", "size=6m", "tmpfs") !== 0) return context.skip("this machine lets nobody mount");
    try {
      const big = sample(12 * 1024 * 1024);
      const chunk = 1024 * 1024;
      const all = async (): Promise<void> => {
        await using store = await openStore(dir.path);
        await using ingest = await openIngest(store, big);
        for (let at = ingest.front; at < big.size; at += chunk)
          await ingest.write(at, big.bytes.subarray(at, at + chunk));
        await ingest.commit(big);
      };
      await expect(all()).rejects.toMatchObject({ code: "NO_SPACE" });
      await expect(all()).rejects.toMatchObject({ code: "NO_SPACE" });
      expect(mount("-o", "remount,size=16m")).toBe(0);
      const [resumed] = await resumedFrom(dir.path, big);
      expect(resumed?.start).toBe(0);
      expect(resumed?.end).toBeGreaterThanOrEqual(4 * chunk);
      await all();
      expect((await readFile(join(dir.path, "blobs/sha256", big.digest.slice(7)))).equals(big.bytes)).toBe(true);
    } finally {
      spawnSync("umount", [dir.path]);
    }
  });
});
