/**
 * What the index of a disk's chunks costs and saves: how much larger chunks are whose pieces can be had alone, and what an update moves next to the
 * blocks of 64 KiB that changed, and to whole chunks. And what cutting costs next to a rolling sum.
 *
 *   npm run bench -- disk-index [--pair OLD,NEW] [--size MB] [--data MB] [--replaced FILES] [--runs 3]
 *
 * Without `--pair` a disk of ext4 is made with this system's files, and some files of it are replaced. Pieces that are anywhere on the old disk are
 * taken for here; the index counts with those of the chunks that changed.
 */
import { hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AppleLz4Encoder } from "../../src/codec/apple-lz4/encoder.ts";
import { writeChunkIndex } from "../../src/codec/disk-index/chunk-index.ts";
import { DiskChunker, type DiskPiece } from "../../src/codec/disk-index/disk-chunker.ts";
import { IndexedEncoder } from "../../src/codec/disk-index/indexed-encoder.ts";
import { Chunker } from "../../src/codec/zstd-chunked/chunker.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { changedBlocks } from "../../test/kit/disk/changed-blocks.ts";
import { makeRealDisk, upgradeDisk } from "../../test/kit/disk/real-disk.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";

const CHUNK = 512 << 20;
const STEP = 1 << 20;

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pair: { type: "string" },
      size: { type: "string", default: "1000" },
      data: { type: "string", default: "400" },
      replaced: { type: "string", default: "60" },
      runs: { type: "string", default: "3" },
    },
  });
  await using dir = await tempDir("varve-bench-");
  const [old = "", next = ""] = values.pair?.split(",") ?? (await makePair(dir.path, values));
  const here = new Set<string>();
  for await (const chunk of chunksOf(old)) for (const { bytes } of piecesOf(chunk)) if (bytes) here.add(named(bytes));
  const update = await costOfUpdate(next, here, await chunkDigests(old));
  const { compressedBytes } = await changedBlocks(old, next);
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;
  console.log(`\nchunks of ${next}: ${mb(update.linked)}, with pieces ${ratio(update.cut, update.linked)} of that`);
  console.log(`its update: whole chunks ${mb(update.whole)}, changed blocks of 64 KiB ${mb(compressedBytes)}`);
  const moved = update.pieces + update.index;
  console.log(`by the index: ${mb(update.pieces)} of pieces, ${mb(update.index)} of indexes`);
  console.log(
    `  ${ratio(moved, update.whole)} of whole chunks, ${ratio(moved, compressedBytes)} of the changed blocks`,
  );
  console.log(`cutting takes ${ratio(...(await cuttingTimes(next, Number(values.runs))))} of a rolling sum's time`);
}

const ratio = (a: number, b: number): string => (a / b).toFixed(3);
const named = (bytes: Uint8Array): string => hash("sha256", bytes, "base64");

async function makePair(
  dir: string,
  { size, data, replaced }: { readonly size: string; readonly data: string; readonly replaced: string },
): Promise<[string, string]> {
  const disk = await makeRealDisk(join(dir, "1"), { bytes: Number(size) * 1e6, dataBytes: Number(data) * 1e6 });
  const files = Number(replaced);
  const few = Math.ceil(files / 5);
  const next = await upgradeDisk(disk, join(dir, "2"), { seed: 1, replaced: files, removed: few, added: few });
  return [disk.path, next.path];
}

/** Each is in memory as a whole. */
async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const bytes of createReadStream(path, { highWaterMark: STEP }) as AsyncIterable<Buffer>) {
    parts.push(bytes);
    size += bytes.length;
    if (size < CHUNK) continue;
    yield Buffer.concat(parts);
    [parts, size] = [[], 0];
  }
  if (size > 0) yield Buffer.concat(parts);
}

function* piecesOf(chunk: Uint8Array): Generator<DiskPiece> {
  const chunker = new DiskChunker(0);
  yield* chunker.write(chunk);
  yield* chunker.end();
}

async function chunkDigests(path: string): Promise<ReadonlySet<string>> {
  const digests = new Set<string>();
  for await (const chunk of chunksOf(path)) digests.add(named(chunk));
  return digests;
}

async function costOfUpdate(path: string, here: ReadonlySet<string>, chunks: ReadonlySet<string>) {
  const cost = { linked: 0, cut: 0, whole: 0, pieces: 0, index: 0 };
  for await (const chunk of chunksOf(path)) {
    const linked = new AppleLz4Encoder();
    for (const encoded of [linked.write(chunk), linked.end()]) for (const bytes of encoded) cost.linked += bytes.length;
    const encoder = new IndexedEncoder({ offset: 0 });
    for (const encoded of [encoder.write(chunk), encoder.end()]) for (const bytes of encoded) cost.cut += bytes.length;
    if (chunks.has(named(chunk))) continue;
    const { pieces, size } = encoder;
    cost.whole += size;
    const facts = { digest: digestOf(chunk), size: chunk.length };
    cost.index += writeChunkIndex({ blob: facts, content: facts, pieces }).length;
    for (let piece = 0; piece < pieces.length; piece++) {
      const digest = pieces.digestBytes(piece);
      const isHere = digest === undefined || here.has(Buffer.from(digest).toString("base64"));
      if (!isHere) cost.pieces += pieces.end(piece) - pieces.offset(piece);
    }
  }
  return cost;
}

/** The quickest of some runs each, which alternate. */
async function cuttingTimes(path: string, runs: number): Promise<[own: number, rolling: number]> {
  const times: [number, number] = [Infinity, Infinity];
  for await (const chunk of chunksOf(path)) {
    for (let run = 0; run < runs; run++) {
      const start = performance.now();
      for (const _ of piecesOf(chunk));
      const middle = performance.now();
      const rolling = new Chunker(() => {});
      rolling.write(chunk);
      rolling.end();
      times[0] = Math.min(times[0], middle - start);
      times[1] = Math.min(times[1], performance.now() - middle);
    }
    break;
  }
  return times;
}
