/**
 * Copying a disk image with holes: an ext4 image of 3 GB with 1.7 GB of files in it, next to `cp`, `qemu-img convert` and what copies byte by
 * byte. What counts is the time until the copy is on the disk, and what it takes there.
 *
 *   npm run bench -- disk [--on tmpfs,ext4] [--runs 5] [--size 3000] [--data 1700]
 *
 * Sizes are in MB. Contenders alternate on one file system that was made for it, each target is removed before the next; medians are quoted.
 * `cp` and the others are followed by a sync of the target, because varve does not end before that. Needs root, to mount.
 */
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createRng } from "../../test/kit/images/rng.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { freshDisk, type DiskKind } from "../lib/fresh-disk.ts";
import { measure, median, type Cost } from "../lib/measure.ts";
import { hasProgram, printTable } from "../lib/table.ts";

const VARVE = join(import.meta.dirname, "../../bin/varve.js");
const MIB = 1 << 20;

type Contender = (from: string, to: string) => Promise<Cost>;

/** With the target on the disk when it ends. */
function synced(command: string): Contender {
  return (from, to) => measure("sh", ["-c", `${command} && sync "$2"`, "sh", from, to]);
}

function varve(...flags: string[]): Contender {
  return (from, to) => measure(process.execPath, [VARVE, "disk", "copy", "--progress", "none", ...flags, from, to]);
}

async function contenders(): Promise<Record<string, Contender>> {
  const copyFile = `"${process.execPath}" -e 'require("fs").copyFileSync(process.argv[1], process.argv[2])' "$1" "$2"`;
  return {
    "varve disk copy": varve(),
    "varve disk copy --sparse always": varve("--sparse", "always"),
    "varve disk copy --verify": varve("--verify"),
    "cp --sparse=auto": synced('cp --sparse=auto "$1" "$2"'),
    "cp --sparse=always": synced('cp --sparse=always "$1" "$2"'),
    ...((await hasProgram("qemu-img")) && { "qemu-img convert": synced('qemu-img convert -f raw -O raw "$1" "$2"') }),
    "fs.copyFile": synced(copyFile),
    "byte by byte (cat)": synced('cat "$1" > "$2"'),
  };
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      on: { type: "string", default: "tmpfs,ext4" },
      runs: { type: "string", default: "5" },
      size: { type: "string", default: "3000" },
      data: { type: "string", default: "1700" },
    },
  });
  const [size, data] = [Number(values.size), Number(values.data)];
  const all = await contenders();
  for (const kind of values.on.split(",") as DiskKind[]) {
    await using disk = await freshDisk(kind, Math.ceil((2 * size) / 1000) + 2);
    const [from, to] = [join(disk.path, "source.img"), join(disk.path, "target.img")];
    await makeImage(from, size, data);
    const costs = new Map<string, Cost[]>(Object.keys(all).map((name) => [name, []]));
    const taken = new Map<string, number>();
    for (let round = 0; round < Number(values.runs); round++) {
      for (const [name, copy] of Object.entries(all)) {
        costs.get(name)?.push(await copy(from, to));
        taken.set(name, allocated(to));
        rmSync(to);
        await runOk("sync", ["-f", disk.path]);
      }
    }
    printTable(
      `${size} MB with ${(allocated(from) / 1e6).toFixed(0)} MB of data on ${kind}, median of ${values.runs}`,
      Object.fromEntries([...costs].map(([name, list]) => [name, median(list)])),
    );
    for (const [name, bytes] of taken) {
      console.log(
        `${name}: takes ${(bytes / 1e6).toFixed(1)} MB, ${(bytes - allocated(from)) / 1024} KiB more than the source`,
      );
    }
  }
}

function allocated(path: string): number {
  return statSync(path).blocks * 512;
}

/** Files of 64 KiB to 2.8 MiB that nothing can be told of, packed as people make such images. */
async function makeImage(path: string, size: number, data: number): Promise<void> {
  await using dir = await tempDir("varve-bench-");
  const tree = join(dir.path, "tree");
  mkdirSync(tree);
  const rng = createRng(6);
  const content = noise(3 * MIB, "files");
  for (let left = data * 1e6, index = 0; left > 0; index++) {
    const length = Math.min(left, rng.between(64 * 1024, 2_900_000));
    writeFileSync(join(tree, `file${index}`), content.subarray(0, length));
    left -= length;
  }
  await runOk("mke2fs", ["-q", "-t", "ext4", "-d", tree, path, `${Math.floor((size * 1e6) / 1024)}k`], {
    timeoutMs: 600_000,
  });
  await runOk("sync", [path]);
}
