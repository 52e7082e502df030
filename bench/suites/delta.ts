/**
 * What deltas cost next to everybody else's: size, the time and memory that making and applying them takes.
 *
 *   npm run bench -- delta [--part files,images] [--pairs debian,app,rebuild,shuffled] [--rounds 3] [--only NAME]... [--dir DIR] [--json FILE]
 *                          [--images OLD,NEW] [--on ext4] [--size 24]
 *
 * Pairs are made of Debian's and npm's packages, so their sources have to be in reach; `--dir` keeps them for another run. What cannot be made, and
 * programs that are not installed, are said and left out. Contenders that take minutes have one round. Images are named HOST/NAME:TAG, in registries with
 * plain HTTP; without a name they are made of the pairs `debian` and `app`. They need docker-registry, and root to mount `--size` GiB of a file system.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { DiskKind } from "../lib/fresh-disk.ts";
import { benchFiles } from "../lib/delta/files-part.ts";
import { benchImages } from "../lib/delta/images-part.ts";
import { PAIRS, type PairName } from "../lib/delta/pairs.ts";
import { printTargets } from "../lib/delta/targets.ts";

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      part: { type: "string", default: "files,images" },
      pairs: { type: "string", default: PAIRS.join(",") },
      rounds: { type: "string", default: "3" },
      only: { type: "string", multiple: true },
      dir: { type: "string" },
      json: { type: "string" },
      images: { type: "string" },
      on: { type: "string", default: "ext4" },
      size: { type: "string", default: "24" },
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
  const images = parts.includes("images")
    ? await benchImages({
        images: values.images?.split(","),
        rounds: Number(values.rounds),
        dir,
        on: values.on as DiskKind,
        size: Number(values.size),
      })
    : [];
  printTargets(files, images);
  if (values.json !== undefined) {
    const plain = (_: string, value: unknown): unknown => (value instanceof Map ? Object.fromEntries(value) : value);
    await writeFile(values.json, `${JSON.stringify(files, plain, 2)}\n`);
  }
}
