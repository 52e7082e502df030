/**
 * What inflating a large gzip layer and hashing its tar costs, as a thread does it: with the decoder that is built in and with other
 * programs (igzip, pigz, rapidgzip, where they are installed); and what `--decompressor auto` makes of it.
 *
 *   npm run bench -- decompress [--blob FILE.gz] [--size MB] [--runs 5]
 *
 * Contenders alternate, each in a process of its own; medians are quoted, of the whole process tree. Without `--blob` the files of this
 * system's /usr are packed, `--size` megabytes of them.
 */
import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { DECOMPRESSORS, type Decompressor } from "../../src/codec/decompressors.ts";
import { readFrontFile } from "../../src/layer/read-front-file.ts";
import { tarStreamOf } from "../../src/layer/tar-stream.ts";
import { wholeFile } from "../../src/layer/whole-file.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { measure, median, type Cost } from "../lib/measure.ts";
import { hasProgram, printTable } from "../lib/table.ts";

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      blob: { type: "string" },
      size: { type: "string", default: "500" },
      runs: { type: "string", default: "5" },
    },
  });
  await using dir = await tempDir("varve-bench-");
  const blob = values.blob ?? (await packUsr(join(dir.path, "layer.tar.gz"), Number(values.size)));
  const contenders: Decompressor[] = [];
  for (const name of DECOMPRESSORS) {
    if (name === "builtin" || name === "auto" || (await hasProgram(name))) contenders.push(name);
  }
  const costs = new Map<Decompressor, Cost[]>(contenders.map((name) => [name, []]));
  for (let round = 0; round < Number(values.runs); round++) {
    for (const name of contenders) {
      costs.get(name)?.push(await measure(process.execPath, [import.meta.filename, name, blob]));
    }
  }
  const medians = Object.fromEntries([...costs].map(([name, list]) => [name, median(list)]));
  printTable(`inflating and hashing ${(statSync(blob).size / 1e6).toFixed(0)} MB, median of ${values.runs}`, medians);
}

async function packUsr(path: string, megabytes: number): Promise<string> {
  const script = `tar c /usr 2>/dev/null | head -c "$1" | gzip -6 > "$2"`;
  await promisify(execFile)("sh", ["-c", script, "sh", String(megabytes * 1e6), path]);
  return path;
}

async function inflate(decompressor: Decompressor, path: string): Promise<void> {
  const { signal } = new AbortController();
  const { size } = statSync(path);
  let bytes = 0;
  const file = readFrontFile(wholeFile({ path, size }), signal);
  for await (const chunk of tarStreamOf(file, { signal, decompressor, size })) bytes += chunk.length;
  if (bytes === 0) throw new Error(`${path} holds nothing`);
}

const [own, decompressor, path] = process.argv.slice(1);
if (own === import.meta.filename && decompressor !== undefined && path !== undefined) {
  await inflate(decompressor as Decompressor, path);
}
