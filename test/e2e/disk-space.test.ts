/**
 * An ext4 image with more holes than data, copied by varve and by what else copies files: 3.0 GB with 1.7 GB of files at a twentieth of its size;
 * `npm run bench -- disk` has the whole one, and how long each takes.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { expect, it } from "vitest";
import type { DiskCopy } from "../../src/disk/copy-report.ts";
import { hasExt4Tools } from "../kit/disk/ext4-tools.ts";
import { makeFilledDisk } from "../kit/disk/filled-disk.ts";
import { allocated, haveSameBytes, MIB } from "../kit/disk/sparse-file.ts";
import { findPeer } from "../kit/peers.ts";
import { runOk } from "../kit/peers/run.ts";
import { runVarve } from "../kit/peers/varve.ts";
import { tempDir } from "../kit/temp-dir.ts";

const SIZE = 150e6;
const DATA = 85e6;

it.skipIf(!hasExt4Tools)("a copied disk takes what its source takes, which plain copies do not", async () => {
  await using dir = await tempDir();
  const from = join(dir.path, "source.img");
  const target = (name: string): string => join(dir.path, name);
  await makeFilledDisk(from, SIZE, DATA);
  expect(allocated(from)).toBeLessThan(DATA * 1.15);

  for (const flags of [[], ["--sparse", "always"], ["--no-reflink", "--verify"]]) {
    const to = target(`varve ${flags.join(" ")}`);
    const copied = await runVarve(["disk", "copy", "--json", ...flags, from, to]);
    expect(copied).toMatchObject({ code: 0 });
    expect(JSON.parse(copied.stdout.toString()) as DiskCopy).toMatchObject({ warnings: [] });
    expect(allocated(to)).toBeLessThanOrEqual(allocated(from) + MIB);
    expect(haveSameBytes(from, to)).toBe(true);
  }

  await pipeline(createReadStream(from), createWriteStream(target("byte by byte")));
  expect(allocated(target("byte by byte"))).toBeGreaterThan(allocated(from) + 0.9 * (SIZE - DATA) - 12 * MIB);
  await copyFile(from, target("fs.copyFile"));
  expect(allocated(target("fs.copyFile"))).toBeGreaterThanOrEqual(allocated(from) - MIB);

  const always = target("cp");
  await runOk("cp", ["--sparse=always", "--reflink=never", from, always]);
  expect(allocated(target("varve --sparse always"))).toBeLessThanOrEqual(allocated(always) + MIB);
  if (findPeer("qemu-img") === undefined) return;
  const converted = target("qemu-img");
  await runOk(findPeer("qemu-img")!, ["convert", "-f", "raw", "-O", "raw", from, converted]);
  expect(allocated(target("varve --sparse always"))).toBeLessThanOrEqual(allocated(converted) + MIB);
});
