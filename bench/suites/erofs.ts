/**
 * What it costs to write an EROFS index and to read it back, beside parsing the headers of the same tar, which is the least that an
 * index takes.
 *
 *   npm run bench -- erofs [--entries 150000] [--tar FILE] [--runs 9]
 *
 * Contenders alternate; medians are quoted, of user CPU. `mkfs.erofs --tar=i`, where there is one that knows these indexes, makes one of
 * the same tar.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readErofs } from "../../src/codec/erofs/reader.ts";
import type { IndexNode } from "../../src/codec/erofs/tree.ts";
import { encodeErofs } from "../../src/codec/erofs/writer.ts";
import { encodeTarEntry, TAR_END, tarPadding } from "../../src/codec/tar/header.ts";
import { TarParser } from "../../src/codec/tar/parser.ts";
import { treeOfTar } from "../../test/kit/erofs/tree-of-tar.ts";
import { findErofsUtil } from "../../test/kit/erofs/utils.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { measure, median } from "../lib/measure.ts";

const CHUNK = 1024 * 1024;
const UUID = new Uint8Array(16);
const FILES_PER_DIRECTORY = 30;

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      entries: { type: "string", default: "150000" },
      tar: { type: "string" },
      runs: { type: "string", default: "9" },
    },
  });
  const runs = Number(values.runs);
  const tar = values.tar === undefined ? sampleTar(Number(values.entries)) : readFileSync(values.tar);
  const tree = treeOfTar(tar);
  const entries = countNames(tree.root);
  const index = Buffer.concat([...encodeErofs(tree, { uuid: UUID })]);
  const contenders: readonly (readonly [string, () => void])[] = [
    ["parse the tar", () => parse(tar)],
    ["write the index", () => drain(encodeErofs(tree, { uuid: UUID }))],
    ["read the index", () => void readErofs(index)],
  ];
  const times = new Map<string, number[]>(contenders.map(([name]) => [name, []]));
  // The first rounds let the compiler do its work.
  for (let run = -2; run < runs; run++) {
    for (const [name, work] of contenders) {
      const took = userTime(work);
      if (run >= 0) times.get(name)?.push(took / entries);
    }
  }
  console.log(`${entries} entries, ${(index.length / entries).toFixed(1)} bytes of index for each`);
  const floor = middle(times.get("parse the tar") ?? []);
  for (const [name, all] of times) say(name, middle(all), floor);
  await sayPeer(tar, { entries, floor, runs });
}

async function sayPeer(
  tar: Uint8Array,
  { entries, floor, runs }: { readonly entries: number; readonly floor: number; readonly runs: number },
): Promise<void> {
  const mkfs = findErofsUtil("mkfs.erofs");
  if (mkfs === undefined) return;
  await using dir = await tempDir("varve-bench-");
  const file = join(dir.path, "tar");
  writeFileSync(file, tar);
  const costs = [];
  for (let run = 0; run < runs; run++) {
    costs.push(await measure(mkfs, ["--quiet", "--tar=i", join(dir.path, `index${run}`), file]));
  }
  say(`${mkfs} --tar=i`, (median(costs).user * 1e6) / entries, floor);
}

function say(name: string, each: number, floor: number): void {
  const ratio = (each / floor).toFixed(2);
  console.log(`  ${name.padEnd(22)} ${each.toFixed(2).padStart(6)} us user for each entry, ${ratio} of parsing`);
}

/** Microseconds. */
function userTime(work: () => void): number {
  const before = process.cpuUsage();
  work();
  return process.cpuUsage(before).user;
}

function middle(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN;
}

function drain(chunks: Iterable<Uint8Array>): void {
  for (const _ of chunks);
}

function parse(tar: Uint8Array): void {
  const parser = new TarParser({ entry: () => undefined, data: () => undefined, endEntry: () => undefined });
  for (let at = 0; at < tar.length; at += CHUNK) parser.write(tar.subarray(at, at + CHUNK));
  parser.end();
}

function countNames(node: IndexNode): number {
  let count = 0;
  for (const child of node.children?.values() ?? []) count += 1 + countNames(child);
  return count;
}

/** As distributions have them: small files of root's, 30 in a directory, times by package, a link among ten. */
function sampleTar(entries: number): Buffer {
  const pieces: Uint8Array[] = [];
  let directory = "";
  for (let index = 0; index < entries; index++) {
    const modifiedAt = { seconds: 1_600_000_000 + Math.floor(index / 300) * 997, nanoseconds: 0 };
    if (index % (FILES_PER_DIRECTORY + 1) === 0) {
      directory = `usr/share/package-${Math.floor(index / 300)}/part${index}/`;
      pieces.push(encodeTarEntry({ name: directory, type: "directory", modifiedAt }));
    } else if (index % 10 === 9) {
      const name = `${directory}libname.so.${index}`;
      pieces.push(encodeTarEntry({ name, type: "symlink", linkName: `libname.so.${index}.0.1`, modifiedAt }));
    } else {
      const size = (index * 37) % 700;
      const name = `${directory}module-${index}.js`;
      pieces.push(encodeTarEntry({ name, type: "file", size, storedSize: size, modifiedAt }));
      pieces.push(Buffer.alloc(size, 120), tarPadding(size));
    }
  }
  return Buffer.concat([...pieces, TAR_END]);
}
