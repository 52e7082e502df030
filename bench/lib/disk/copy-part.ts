/** Copies of a disk with holes and of one in crumbs, next to `cp`, `qemu-img convert` and what copies byte by byte. */
import { closeSync, ftruncateSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { makeFilledDisk } from "../../../test/kit/disk/filled-disk.ts";
import { VARVE_BIN } from "../../../test/kit/peers/varve.ts";
import { runOk } from "../../../test/kit/peers/run.ts";
import { freshDisk, type DiskKind } from "../fresh-disk.ts";
import { measure, median, type Cost } from "../measure.ts";
import { hasProgram, printTable } from "../table.ts";

export interface CopyPartOptions {
  readonly on: readonly DiskKind[];
  readonly runs: number;
  /** Megabytes of the disk with holes, and of the files in it. */
  readonly size: number;
  readonly data: number;
  /** How many runs of 4 KiB the one in crumbs has. */
  readonly crumbs: number;
}

type Contender = (from: string, to: string) => Promise<Cost>;

const CRUMB = 4096;

export async function benchCopies({ on, runs, size, data, crumbs }: CopyPartOptions): Promise<void> {
  const all = await contenders();
  for (const kind of on) {
    await using disk = await freshDisk(kind, Math.ceil((2 * size) / 1000) + 2);
    const from = join(disk.path, "source.img");
    await makeFilledDisk(from, size * 1e6, data * 1e6);
    await race(`${size} MB with ${megabytes(from)} MB of data on ${kind}`, from, disk.path, all, runs);
    await makeCrumbs(from, crumbs);
    const near = Object.fromEntries(Object.entries(all).filter(([name]) => /varve|cp|qemu/.test(name)));
    await race(`${crumbs} runs of 4 KiB with holes between them on ${kind}`, from, disk.path, near, runs);
  }
}

/** With the target on the disk when it ends. */
function synced(command: string): Contender {
  return (from, to) => measure("sh", ["-c", `${command} && sync "$2"`, "sh", from, to]);
}

function varve(...flags: string[]): Contender {
  const args = ["disk", "copy", "--progress", "none", ...flags];
  return (from, to) => measure(process.execPath, [VARVE_BIN, ...args, from, to]);
}

async function contenders(): Promise<Record<string, Contender>> {
  const node = (script: string): string => `"${process.execPath}" -e '${script}' "$1" "$2"`;
  const streams = `const fs = require("fs"); fs.createReadStream(process.argv[1]).pipe(fs.createWriteStream(process.argv[2]));`;
  return {
    "varve disk copy": varve(),
    "varve disk copy --sparse always": varve("--sparse", "always"),
    "varve disk copy --verify": varve("--verify"),
    "cp --sparse=auto": synced('cp --sparse=auto "$1" "$2"'),
    "cp --sparse=always": synced('cp --sparse=always "$1" "$2"'),
    ...((await hasProgram("qemu-img")) && { "qemu-img convert": synced('qemu-img convert -f raw -O raw "$1" "$2"') }),
    "fs.copyFile": synced(node(`require("fs").copyFileSync(process.argv[1], process.argv[2]);`)),
    "streams of Node": synced(node(streams)),
    "byte by byte, as Go programs copy (cat)": synced('cat "$1" > "$2"'),
  };
}

/**
 * Contenders alternate, and another one begins each round; each target is removed before the next. Before each a copy is made that does not count:
 * the first to touch memory that a virtual machine's host has taken back pays for getting it again, seconds for a few gigabytes.
 */
async function race(
  title: string,
  from: string,
  dir: string,
  all: Readonly<Record<string, Contender>>,
  runs: number,
): Promise<void> {
  const to = join(dir, "target.img");
  const costs = new Map<string, Cost[]>(Object.keys(all).map((name) => [name, []]));
  const taken = new Map<string, number>();
  const list = Object.entries(all);
  const clear = async (): Promise<void> => {
    rmSync(to);
    await runOk("sync", ["-f", dir]);
  };
  for (let round = 0; round < runs; round++) {
    for (const [name, copy] of [...list.slice(round % list.length), ...list.slice(0, round % list.length)]) {
      await runOk("sh", ["-c", 'cat "$1" > "$2"', "sh", from, to]);
      await clear();
      costs.get(name)?.push(await copy(from, to));
      taken.set(name, allocated(to));
      await clear();
    }
  }
  const medians = Object.fromEntries([...costs].map(([name, list]) => [name, median(list)]));
  printTable(`${title}, median of ${runs}`, medians);
  const reference = medians["cp --sparse=always"]!;
  for (const [name, bytes] of taken) {
    const more = (bytes - allocated(from)) / 1024;
    const wall = (medians[name]!.wall / reference.wall).toFixed(2);
    console.log(
      `${name}: ${wall} of the wall time of cp --sparse=always; takes ${(bytes / 1e6).toFixed(1)} MB, ${more} KiB more than the source`,
    );
  }
}

async function makeCrumbs(path: string, count: number): Promise<void> {
  const file = openSync(path, "w");
  try {
    ftruncateSync(file, 2 * count * CRUMB);
    const crumb = Buffer.alloc(CRUMB, "crumb");
    for (let index = 0; index < count; index++) writeSync(file, crumb, 0, CRUMB, 2 * index * CRUMB);
  } finally {
    closeSync(file);
  }
  await runOk("sync", [path]);
}

function allocated(path: string): number {
  return statSync(path).blocks * 512;
}

function megabytes(path: string): string {
  return (allocated(path) / 1e6).toFixed(0);
}
