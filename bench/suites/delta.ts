/**
 * What deltas cost next to everybody else's: size, the time and memory that making and applying them takes.
 *
 *   npm run bench -- delta [--part files] [--pairs debian,app,rebuild,shuffled] [--rounds 3] [--only NAME]... [--dir DIR] [--json FILE]
 *
 * Pairs are made of Debian's and npm's packages, so their sources have to be in reach; `--dir` keeps them for another run. What cannot be made, and
 * programs that are not installed, are said and left out. Contenders that take minutes have one round.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { benchFiles } from "../lib/delta/files-part.ts";
import { PAIRS, type PairName } from "../lib/delta/pairs.ts";
import { printTargets } from "../lib/delta/targets.ts";

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      part: { type: "string", default: "files" },
      pairs: { type: "string", default: PAIRS.join(",") },
      rounds: { type: "string", default: "3" },
      only: { type: "string", multiple: true },
      dir: { type: "string" },
      json: { type: "string" },
    },
  });
  await using own = await tempDir("varve-delta-");
  const dir = values.dir ?? own.path;
  const parts = values.part.split(",");
  const files = parts.includes("files")
    ? await benchFiles({
        pairs: values.pairs.split(",") as PairName[],
        rounds: Number(values.rounds),
        dir: join(dir, "pairs"),
        only: values.only,
      })
    : [];
  printTargets(files);
  if (values.json !== undefined) {
    const plain = (_: string, value: unknown): unknown => (value instanceof Map ? Object.fromEntries(value) : value);
    await writeFile(values.json, `${JSON.stringify(files, plain, 2)}\n`);
  }
}
