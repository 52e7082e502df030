/**
 * What making one chunk of a disk costs, from its compressed bytes to its place in the store, next to the floor: decoding it, hashing what goes in
 * and what comes out, and writing what is not zeros.
 *
 *   npm run bench -- assemble-disk [--file FILE] [--size MIB] [--runs 5]
 *
 * Contenders alternate, each in a process of its own, on tmpfs; medians are quoted. Without `--file` the chunk has some of this system's own
 * files, and in every eighth MiB and the last third zeros, as disks do.
 */
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { mkdir, open, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { decodeAppleLz4 } from "../../src/codec/apple-lz4/decoder.ts";
import { encodeAppleLz4 } from "../../src/codec/apple-lz4/encoder.ts";
import { dataStretches } from "../../src/codec/zero-runs.ts";
import { digestOf, Digester, type Digest } from "../../src/oci/digest.ts";
import { planContent } from "../../src/plan/disk-content.ts";
import { assemble } from "../../src/recipe/assembler.ts";
import { TransferBudget } from "../../src/recipe/limiter.ts";
import { openStore } from "../../src/store/store.ts";
import { measure, median, type Cost } from "../lib/measure.ts";
import { packSystem } from "../lib/system-tar.ts";
import { printTable } from "../lib/table.ts";

const MIB = 1 << 20;
/** As they come from a connection. */
const PIECE = 64 << 10;

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      file: { type: "string" },
      size: { type: "string", default: "512" },
      runs: { type: "string", default: "5" },
    },
  });
  const dir = join("/dev/shm", `varve-bench-${process.pid}`);
  await using _ = await folder(dir);
  const raw = values.file ?? (await makeChunk(join(dir, "raw"), Number(values.size)));
  const encoded = join(dir, "encoded");
  await writeFile(encoded, encodeAppleLz4(createReadStream(raw)));
  const facts = await Promise.all([digestOfFile(raw), digestOfFile(encoded)]);
  const sizes = [raw, encoded].map((path) => statSync(path).size);
  const job = (name: string): string[] => [
    import.meta.filename,
    name,
    encoded,
    join(dir, "work"),
    ...facts,
    ...sizes.map(String),
  ];
  const contenders = {
    assembled: job("assemble"),
    floor: job("floor"),
    "four at once": job("four"),
    "nothing, but the program": job("nothing"),
  };
  const costs = new Map<string, Cost[]>(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < Number(values.runs); round++) {
    for (const [name, args] of Object.entries(contenders)) costs.get(name)?.push(await measure(process.execPath, args));
  }
  const medians = Object.fromEntries([...costs].map(([name, list]) => [name, median(list)]));
  const [from, to] = sizes.map((size) => ((size ?? 0) / MIB).toFixed(0));
  printTable(`a chunk of ${from} MiB, compressed to ${to} MiB, median of ${values.runs}`, medians);
  const cpu = ({ user, system }: Cost): number => user + system;
  console.log(`CPU: ${(cpu(medians["assembled"]!) / cpu(medians["floor"]!)).toFixed(2)} of the floor`);
}

async function makeChunk(path: string, mebibytes: number): Promise<string> {
  const size = mebibytes * MIB;
  await packSystem(path, mebibytes);
  await truncate(path, size);
  await using file = await open(path, "r+");
  const zeros = Buffer.alloc(MIB);
  for (let at = 0; at < size; at += MIB) {
    if (at % (8 * MIB) === 0 || at > (size / 3) * 2) await file.write(zeros, 0, Math.min(MIB, size - at), at);
  }
  return path;
}

async function folder(path: string): Promise<AsyncDisposable> {
  await mkdir(path);
  return { [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

async function digestOfFile(path: string): Promise<Digest> {
  const digester = new Digester();
  for await (const chunk of createReadStream(path)) digester.update(chunk as Buffer);
  return digester.digest();
}

type Facts = readonly [encoded: string, dir: string, digest: Digest, blob: Digest, size: string, blobSize: string];

const JOBS: Readonly<Record<string, (...facts: Facts) => Promise<void>>> = {
  assemble: (...facts) => assembleAtOnce(1, facts),

  four: (...facts) => assembleAtOnce(4, facts),

  async floor(encoded, dir, digest, blobDigest) {
    await using file = await open(join(dir, "disk"), "w");
    const [before, after] = [createHash("sha256"), createHash("sha256")];
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of createReadStream(encoded, { highWaterMark: PIECE })) {
        before.update(chunk as Buffer);
        yield chunk as Buffer;
      }
    };
    let at = 0;
    for await (const piece of decodeAppleLz4(source())) {
      after.update(piece);
      for (const [start, end] of dataStretches(piece, 0, piece.length, at)) {
        await file.write(piece, start, end - start, at + start);
      }
      at += piece.length;
    }
    const made = [after, before].map((hash) => `sha256:${hash.digest("hex")}`);
    if (made[0] !== digest || made[1] !== blobDigest) throw new Error("it came out wrong");
  },

  /** What starting costs. */
  async nothing(_, dir) {
    await using _store = await openStore(dir, { sync: false });
  },
};

/** The chunk, so many times in one disk, as a pull makes those of an image. */
async function assembleAtOnce(count: number, [encoded, dir, digest, blobDigest, size, blobSize]: Facts): Promise<void> {
  const blob = { mediaType: "application/octet-stream", digest: blobDigest, size: Number(blobSize) };
  const chunk = { blob, coding: "apple-lz4", offset: 0, size: Number(size), digest } as const;
  const blobs = { readBlob: () => createReadStream(encoded, { highWaterMark: PIECE }) };
  await using store = await openStore(dir, { sync: false });
  const disk = await store.disks.open({ key: digestOf("disk"), size: count * chunk.size });
  if (!("window" in disk)) throw new Error("it is there already");
  await using partial = disk;
  const budget = new TransferBudget();
  const make = async (index: number): Promise<void> => {
    await using window = await partial.window({ ...chunk, offset: index * chunk.size });
    await window.commit(await assemble(planContent(chunk).recipe, { ingest: window, blobs, budget }));
  };
  await Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

const [program, job, ...facts] = process.argv.slice(1);
if (program === import.meta.filename && job !== undefined) {
  const all = facts as unknown as Facts;
  await using _ = await folder(all[1]);
  await JOBS[job]?.(...all);
}
