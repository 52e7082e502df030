/** Disks of the store as sources: what was cut before is found without reading, the rest is cut as far as it may, holes for nothing. */
import { randomBytes } from "node:crypto";
import { open, readFile, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRng } from "../../../test/kit/images/rng.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { DiskChunker } from "../../codec/disk-index/disk-chunker.ts";
import type { PlacedPieces } from "../../codec/piece-table.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { openStore, type Store } from "../store.ts";
import { heldDisks } from "./held-disks.ts";
import { HeldSources } from "./local-sources.ts";
import type { LocalPlace } from "./types.ts";

const CONTENT = 1 << 20;

/** Puts a disk into the store whose contents are 1 MiB each; runs of zeros of it are holes. */
async function putDisk(store: Store, name: string, parts: readonly (Buffer | number)[]): Promise<Digest> {
  const key = digestOf(name);
  await using staged = await store.disks.stage();
  let size = 0;
  {
    await using file = await open(staged.path, "wx");
    for (const part of parts) {
      if (typeof part !== "number") await file.write(part, 0, part.length, size);
      size += typeof part === "number" ? part : part.length;
    }
  }
  await truncate(staged.path, size);
  const bytes = await readFile(staged.path);
  const contents = Array.from({ length: Math.ceil(size / CONTENT) }, (_, at) => {
    const content = bytes.subarray(at * CONTENT, (at + 1) * CONTENT);
    return { digest: digestOf(content), size: content.length, offset: at * CONTENT };
  });
  await staged.publish(key, contents);
  return key;
}

/** The pieces that a content is cut into, as a table that names them by where it begins. */
function tableOf(content: Uint8Array, offset: number): PlacedPieces {
  const chunker = new DiskChunker(offset);
  const pieces: { readonly start: number; readonly size: number; readonly digest: Digest | undefined }[] = [];
  let start = 0;
  for (const made of [chunker.write(content), chunker.end()]) {
    for (const { size, bytes } of made) {
      pieces.push({ start, size, digest: bytes && digestOf(bytes) });
      start += size;
    }
  }
  return {
    length: pieces.length,
    size: (piece) => pieces[piece]!.size,
    digest: (piece) => pieces[piece]!.digest,
    start: (piece) => pieces[piece]!.start,
    name: () => String(offset),
  };
}

interface Looked {
  readonly found: number;
  readonly places: readonly (LocalPlace | undefined)[];
}

async function look(store: Store, wanted: PlacedPieces, hashBytes?: number): Promise<Looked> {
  await using sources = new HeldSources({ store, listHeld: () => heldDisks(store) });
  await using places = await sources.locate(wanted, hashBytes === undefined ? {} : { hashBytes });
  const all = Array.from({ length: wanted.length }, (_, piece) => places.get(piece));
  for (const [piece, place] of all.entries()) {
    if (place === undefined) continue;
    const bytes = (await readFile(place.path)).subarray(place.start, place.start + wanted.size(piece));
    expect(digestOf(bytes)).toBe(wanted.digest(piece));
  }
  return { found: places.found.pieces, places: all };
}

describe("disks as sources", () => {
  it("are cut where the wanted content would lie, then elsewhere, and remembered", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path, { sync: false });
    // Of a seed: in other content a changed byte may move several borders until they fall together again.
    const rng = createRng(8);
    const [first, second, third] = [rng.bytes(CONTENT), rng.bytes(CONTENT), rng.bytes(CONTENT)];
    const key = await putDisk(store, "disk", [first, CONTENT, second, third]);
    // A block changed of what lies in the same place: one piece or two are others.
    const next = Buffer.from(second);
    next[70_000]! ^= 1;
    const wanted = tableOf(next, 2 * CONTENT);
    const { found, places } = await look(store, wanted, CONTENT);
    expect(found).toBeGreaterThanOrEqual(wanted.length - 2);
    expect(found).toBeLessThan(wanted.length);
    expect(new Set(places.flatMap((place) => place?.path ?? []))).toEqual(new Set([store.disks.pathOf(key)]));
    expect((await look(store, wanted, 0)).found).toBe(found);
    // Content that moved is found when everything is looked at.
    const moved = tableOf(first, 3 * CONTENT);
    expect((await look(store, moved, CONTENT)).found).toBe(0);
    expect((await look(store, moved)).found).toBe(moved.length);
    expect((await look(store, moved, 0)).found).toBe(moved.length);
  });

  it("have holes that cost nothing", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path, { sync: false });
    const bytes = randomBytes(128 << 10);
    await putDisk(store, "disk", [30 * CONTENT, bytes, 20 * CONTENT]);
    const wanted = tableOf(bytes, 30 * CONTENT);
    const { found } = await look(store, wanted, 128 << 10);
    expect(found).toBe(wanted.length);
  });

  it("are known by what was recorded of them, without being read", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path, { sync: false });
    const [first, second] = [randomBytes(CONTENT), randomBytes(CONTENT)];
    const key = await putDisk(store, "disk", [first, second]);
    const pieces = tableOf(second, CONTENT);
    {
      await using sources = new HeldSources({ store, listHeld: () => heldDisks(store) });
      await sources.record(key, pieces);
    }
    expect((await look(store, pieces, 0)).found).toBe(pieces.length);
    expect((await look(store, tableOf(first, 0), 0)).found).toBe(0);
    const [place] = (await look(store, pieces, 0)).places;
    {
      await using sources = new HeldSources({ store, listHeld: () => heldDisks(store) });
      await sources.forget(place!);
    }
    expect((await look(store, pieces, 0)).found).toBe(pieces.length - 1);
    expect(await store.disks.remove(key)).toBe(true);
    expect((await look(store, pieces)).found).toBe(0);
  });

  it("are looked at when nobody knows their contents any more, and leave no trace in a store that is only read", async () => {
    await using dir = await tempDir();
    const bytes = randomBytes(CONTENT);
    let path: string;
    {
      await using store = await openStore(dir.path, { sync: false });
      path = store.disks.pathOf(await putDisk(store, "disk", [bytes]));
    }
    for (const name of ["meta.db", "meta.db-wal", "meta.db-shm"]) await rm(join(dir.path, name), { force: true });
    await using store = await openStore(dir.path, { sync: false });
    const wanted = tableOf(bytes, 0);
    {
      await using sources = new HeldSources({ store, listHeld: () => heldDisks(store), readOnly: true });
      await using places = await sources.locate(wanted);
      expect(places.found.pieces).toBe(wanted.length);
    }
    await expect(stat(`${path}.index`)).rejects.toMatchObject({ code: "ENOENT" });
  });
});
