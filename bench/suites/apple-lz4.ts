/**
 * What decoding and encoding the disks of Tart costs, next to liblz4's program and to the hash that every byte needs anyway.
 *
 *   npm run bench -- apple-lz4 [--file FILE] [--size MB] [--runs 5]
 *
 * Contenders alternate, each in a process of its own; medians are quoted. Without `--file` a tar of this system's /usr is encoded, `--size`
 * megabytes of it. `lz4` gets the same blocks under its own frame's headers, and writes to /dev/null.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { decodeAppleLz4 } from "../../src/codec/apple-lz4/decoder.ts";
import { encodeAppleLz4 } from "../../src/codec/apple-lz4/encoder.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { measure, median, type Cost } from "../lib/measure.ts";
import { hasProgram, printTable } from "../lib/table.ts";

type Contender = readonly [program: string, ...args: string[]];

const own = (job: string, path: string): Contender => [process.execPath, import.meta.filename, job, path];

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      file: { type: "string" },
      size: { type: "string", default: "500" },
      runs: { type: "string", default: "5" },
    },
  });
  await using dir = await tempDir("varve-bench-");
  const raw = values.file ?? (await packUsr(join(dir.path, "disk"), Number(values.size)));
  const encoded = join(dir.path, "disk.lz4a");
  await writeFile(encoded, encodeAppleLz4(createReadStream(raw)));
  const contenders: Record<string, Contender> = {
    "decode, varve": own("decode", encoded),
    "encode, varve": own("encode", raw),
    "sha256, node": own("hash", raw),
    "nothing, node": own("read", raw),
  };
  if (await hasProgram("lz4")) {
    await promisify(execFile)("lz4", ["-qf", "-BD", "-B4", "--no-frame-crc", raw, join(dir.path, "disk.lz4")]);
    contenders["decode, lz4"] = ["lz4", "-qdf", join(dir.path, "disk.lz4"), "/dev/null"];
    contenders["encode, lz4"] = ["lz4", "-qf", "-BD", "-B4", "--no-frame-crc", raw, "/dev/null"];
  }
  const costs = new Map<string, Cost[]>(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < Number(values.runs); round++) {
    for (const [name, [program, ...rest]] of Object.entries(contenders)) {
      costs.get(name)?.push(await measure(program, rest));
    }
  }
  const medians = Object.fromEntries([...costs].map(([name, list]) => [name, median(list)]));
  const [from, to] = [raw, encoded].map((path) => (statSync(path).size / 1e6).toFixed(0));
  printTable(`${from} MB, which our encoder makes ${to} MB of, median of ${values.runs}`, medians);
}

async function packUsr(path: string, megabytes: number): Promise<string> {
  const script = `tar c /usr 2>/dev/null | head -c "$1" > "$2"`;
  await promisify(execFile)("sh", ["-c", script, "sh", String(megabytes * 1e6), path]);
  return path;
}

async function work(job: string, path: string): Promise<void> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  const pieces = job === "decode" ? decodeAppleLz4(file) : job === "encode" ? encodeAppleLz4(file) : file;
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of pieces as AsyncIterable<Uint8Array>) {
    if (job === "hash") hash.update(piece);
    bytes += piece.length;
  }
  if (bytes === 0) throw new Error(`${path} holds nothing`);
}

const [program, job, path] = process.argv.slice(1);
if (program === import.meta.filename && job !== undefined && path !== undefined) await work(job, path);
