/**
 * What putting a layer's tar together costs, next to the floor: decompressing all frames in one stream, and hashing each piece and the
 * whole. Frames come from memory, local content from files on tmpfs; everything is written to a store on tmpfs.
 *
 *   npm run bench -- recipe [--count 300000] [--runs 3]
 *
 * Small pieces have 64 bytes to 4 KiB, and a literal of a tar header before each; between small frames lie those of the headers, as
 * podman writes them. Figures are of CPU time, user and system, of this process with its threads: medians.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createZstdDecompress, zstdCompressSync } from "node:zlib";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { Digester, digestOf, type Digest } from "../../src/oci/digest.ts";
import { assemble } from "../../src/recipe/assembler.ts";
import type { Recipe, Segment } from "../../src/recipe/segment.ts";
import { openStore, type Store } from "../../src/store/store.ts";

type Source = "frames" | "one file" | "files of their own";

interface Case {
  readonly count: number;
  readonly length: () => number;
  readonly source: Source;
  /** Whether a header goes before each piece. */
  readonly headers: boolean;
}

interface Made {
  readonly recipe: Recipe;
  readonly blobs: MemoryBlobs;
  /** The blob that the frames are of. */
  readonly blob: Buffer;
  readonly pieces: readonly Piece[];
}

interface Piece {
  readonly bytes: Buffer;
  readonly frame: Buffer;
  readonly digest: Digest;
}

/** Different pieces; more than a decoder's window or a processor's cache remembers. */
const DISTINCT = 3000;
const HEADER = Buffer.alloc(512, "header");

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { count: { type: "string", default: "300000" }, runs: { type: "string", default: "3" } },
  });
  const count = Number(values.count);
  const small = (): number => 64 + Math.floor(Math.random() * 4032);
  const large = (): number => 64 << 10;
  const few = Math.ceil(count / 36);
  const cases: Readonly<Record<string, Case>> = {
    "small frames": { count, length: small, source: "frames", headers: true },
    "frames of 64 KiB": { count: few, length: large, source: "frames", headers: false },
    "small local pieces of one file": { count, length: small, source: "one file", headers: true },
    "small local files": { count: Math.ceil(count / 5), length: small, source: "files of their own", headers: true },
    "local pieces of 64 KiB": { count: few, length: large, source: "one file", headers: false },
  };
  const dir = join("/dev/shm", `varve-bench-${process.pid}`);
  mkdirSync(dir);
  try {
    await using store = await openStore(join(dir, "store"), { sync: false });
    for (const [name, each] of Object.entries(cases)) {
      const files = join(dir, name);
      mkdirSync(files);
      const made = make(each, files);
      const ratios: { floor: number; cost: number }[] = [];
      for (let run = 0; run < Number(values.runs); run++) {
        ratios.push({
          floor: await cpuOf(() => floor(made, each)),
          cost: await cpuOf(() => assembleOnce(store, made)),
        });
      }
      report(name, each, made.recipe.target.size, ratios);
      rmSync(files, { recursive: true });
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function report(name: string, { count }: Case, size: number, runs: readonly { floor: number; cost: number }[]): void {
  const middle = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1]!;
  const [cost, floor] = [middle(runs.map((run) => run.cost)), middle(runs.map((run) => run.floor))];
  const each = ((cost * 1000) / count).toFixed(1);
  const rate = (size / cost / 1000).toFixed(0);
  const ratio = (cost / floor).toFixed(2);
  console.log(
    `${name.padEnd(32)} ${count} of them, ${(size / 1e6).toFixed(0)} MB: ${cost.toFixed(0)} ms of CPU, ` +
      `${each} µs each, ${rate} MB/s, ${ratio} of the floor`,
  );
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function assembleOnce(store: Store, { recipe, blobs }: Made): Promise<void> {
  await using ingest = await store.content.ingest(recipe.target).then((place) => {
    if ("write" in place) return place;
    throw new Error("it is there already");
  });
  await assemble(recipe, { ingest, blobs });
  await ingest.discard();
}

async function floor({ recipe, blob, pieces }: Made, { source }: Case): Promise<void> {
  if (source === "frames") {
    const codec = createZstdDecompress({ chunkSize: 256 << 10 });
    codec.resume();
    const ended = new Promise((resolve) => codec.once("end", resolve));
    for (let at = 0; at < blob.length; at += 128 << 10) {
      await new Promise<void>((resolve) => codec.write(blob.subarray(at, at + (128 << 10)), () => resolve()));
    }
    codec.end();
    await ended;
  }
  for (const { bytes } of pieces) digestOf(bytes);
  const whole = new Digester();
  const some = Buffer.alloc(1 << 20);
  for (let left = recipe.target.size; left > 0; left -= some.length) whole.update(some.subarray(0, left));
  whole.digest();
}

function make({ count, length, source, headers }: Case, dir: string): Made {
  const words = Array.from({ length: 4000 }, () => randomBytes(5).toString("base64"));
  const distinct = Array.from({ length: DISTINCT }, () => makePiece(length(), words));
  const header = zstdCompressSync(randomBytes(90));
  const blobs = new MemoryBlobs();
  const blob = { mediaType: "application/octet-stream", digest: digestOf(dir), size: 0 };
  const chunks: Buffer[] = [];
  const pieces: Piece[] = [];
  const segments: Segment[] = [];
  const whole = new Digester();
  let at = 0;
  const push = (chunk: Buffer): number => (at += chunks[chunks.push(chunk) - 1]!.length);
  for (let index = 0; index < count; index++) {
    const piece = distinct[Math.floor(Math.random() * DISTINCT)]!;
    const { bytes, frame, digest } = piece;
    pieces.push(piece);
    if (headers) {
      push(source === "frames" ? header : HEADER);
      segments.push({ kind: "data", bytes: HEADER });
      whole.update(HEADER);
    }
    whole.update(bytes);
    if (source === "frames") {
      const place = { blob, start: at, length: frame.length, codec: "zstd" } as const;
      segments.push({ kind: "frames", ...place, size: bytes.length, digest });
      push(frame);
    } else if (source === "one file") {
      segments.push({ kind: "local", path: join(dir, "file"), start: at, length: bytes.length, digest });
      push(bytes);
      push(HEADER.subarray(bytes.length % 512));
    } else {
      const path = join(dir, String(index));
      writeFileSync(path, bytes);
      segments.push({ kind: "local", path, start: 0, length: bytes.length, digest });
    }
  }
  const all = Buffer.concat(chunks);
  if (source === "frames") blobs.add(all, blob.digest);
  else writeFileSync(join(dir, "file"), all);
  blob.size = all.length;
  const target = { size: whole.size, digest: whole.digest() };
  return { recipe: { target, segments, gapBytes: 1024 }, blobs, blob: all, pieces };
}

function makePiece(length: number, words: readonly string[]): Piece {
  let text = "";
  while (text.length < length) text += words[Math.floor(Math.random() ** 3 * words.length)]!;
  const bytes = Buffer.from(text.slice(0, length));
  return { bytes, frame: zstdCompressSync(bytes), digest: digestOf(bytes) };
}
