/**
 * What it costs to compress a layer another way (`varve convert`, `push --compression`), as a thread does it: zstd:chunked at several levels,
 * next to `zstd -N` of the same tar, and next to the floor, which knows nothing of tars: the tar hashed twice (DiffID, files), the rolling sum
 * that cuts it, each chunk hashed and compressed by itself, the blob hashed.
 *
 *   npm run bench -- convert [--tar FILE | --size MB] [--levels 1,3,5,7,9] [--runs 3]
 *
 * Contenders alternate, each in a process of its own; medians are quoted, of the whole process with its threads. Without `--tar` some
 * `--size` megabytes of this system's /usr are packed.
 */
import { hash } from "node:crypto";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { COMPRESSION_LEVELS, type LayerCompressionKind } from "../../src/codec/layer-compressions.ts";
import { FrameCompressor } from "../../src/codec/zstd/frame-compressor.ts";
import { Chunker } from "../../src/codec/zstd-chunked/chunker.ts";
import { recompressFile } from "../../src/layer/recompress-layer.ts";
import { wholeFile } from "../../src/layer/whole-file.ts";
import { Digester } from "../../src/oci/digest.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { measure, median, type Cost } from "../lib/measure.ts";
import { packSystem } from "../lib/system-tar.ts";
import { hasProgram } from "../lib/table.ts";

interface Contender {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly costs: Cost[];
  size: number;
}

const BLOB = "blob";

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      tar: { type: "string" },
      size: { type: "string", default: "1000" },
      levels: { type: "string", default: "1,3,5,7,9" },
      runs: { type: "string", default: "3" },
    },
  });
  await using dir = await tempDir("varve-bench-");
  const tar = values.tar ?? (await packSystem(join(dir.path, "layer.tar"), Number(values.size)));
  const blob = join(dir.path, BLOB);
  const contenders = await contendersOf(tar, blob, values.levels.split(","));
  for (let round = 0; round < Number(values.runs); round++) {
    for (const contender of contenders) {
      contender.costs.push(await measure(contender.program, contender.args));
      contender.size = statSync(blob).size;
    }
  }
  report(statSync(tar).size, contenders, values.runs);
}

async function contendersOf(tar: string, blob: string, levels: readonly string[]): Promise<Contender[]> {
  const contender = (name: string, program: string, args: readonly string[]): Contender => {
    return { name, program, args, costs: [], size: 0 };
  };
  const own = (name: string, how: string, level: string): Contender =>
    contender(`${name} ${level}`, process.execPath, [import.meta.filename, how, level, tar, blob]);
  const usual = String(COMPRESSION_LEVELS["zstd:chunked"].usual);
  const hasZstd = await hasProgram("zstd");
  return [
    ...levels.map((level) => own("zstd:chunked", "zstd:chunked", level)),
    own("zstd", "zstd", String(COMPRESSION_LEVELS.zstd.usual)),
    own("gzip", "gzip", String(COMPRESSION_LEVELS.gzip.usual)),
    own("floor", "floor", usual),
    ...(hasZstd ? levels : []).map((level) =>
      contender(`zstd -${level}`, "zstd", [`-${level}`, "-q", "-f", "--single-thread", tar, "-o", blob]),
    ),
  ];
}

function report(tarSize: number, contenders: readonly Contender[], runs: string): void {
  console.log(`\na tar of ${(tarSize / 1e6).toFixed(0)} MB, median of ${runs}`);
  console.log(`${"".padEnd(18)}   wall s   user s    sys s  MB/s of CPU   blob MB  RSS MiB`);
  for (const { name, costs, size } of contenders) {
    const { wall, user, system, rss } = median(costs);
    const columns = [wall, user, system].map((value) => value.toFixed(1).padStart(8)).join(" ");
    const rate = (tarSize / 1e6 / (user + system)).toFixed(0).padStart(12);
    console.log(
      `${name.padEnd(18)} ${columns} ${rate} ${(size / 1e6).toFixed(1).padStart(9)} ${rss.toFixed(0).padStart(8)}`,
    );
  }
}

async function recompress(compression: LayerCompressionKind, level: number, tar: string, blob: string): Promise<void> {
  const { signal } = new AbortController();
  const file = wholeFile({ path: tar, size: statSync(tar).size });
  const output = openSync(blob, "w");
  const { refused } = await recompressFile(file, output, { compression, level, signal, isTar: true });
  closeSync(output);
  if (refused !== undefined) throw new Error(`it became ordinary zstd: ${refused.message}`);
}

function floor(level: number, tar: string, blob: string): void {
  const [input, output] = [openSync(tar, "r"), openSync(blob, "w")];
  const [diffId, files, made] = [new Digester(), new Digester(), new Digester()];
  using compressor = new FrameCompressor({ level });
  const buffer = Buffer.alloc(1 << 20);
  for (let length = 1; length > 0;) {
    length = readSync(input, buffer);
    const bytes = buffer.subarray(0, length);
    diffId.update(bytes);
    files.update(bytes);
    let at = 0;
    const chunker = new Chunker((end) => {
      const chunk = bytes.subarray(at, end);
      at = end;
      hash("sha256", chunk, "buffer");
      made.update(compressor.compress(chunk));
    });
    chunker.write(bytes);
    chunker.end();
  }
  closeSync(input);
  closeSync(output);
}

const [own, how, level, tar, blob] = process.argv.slice(1);
if (own === import.meta.filename && tar !== undefined && blob !== undefined) {
  if (how === "floor") floor(Number(level), tar, blob);
  else await recompress(how as LayerCompressionKind, Number(level), tar, blob);
}
