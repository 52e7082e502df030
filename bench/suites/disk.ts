/**
 * Disks of virtual machines: copies of an ext4 image of 3 GB with 1.7 GB of files in it and of a disk in crumbs; and a system's disk of 10 GB
 * with its update through a registry.
 *
 *   npm run bench -- disk [--part copy,pull] [--runs 5] [--on tmpfs,ext4] [--size 3000] [--data 1700] [--crumbs 65536]
 *     [--pull-size 10000] [--pull-data 2000] [--grow 2000] [--replaced 400] [--seed 1] [--chunk-size BYTES]
 *
 * Sizes are in MB. Contenders alternate; medians are quoted. `cp` and the others are followed by a sync of the target, because varve does not end
 * before that. Copying needs root, to mount; pulling e2fsprogs and docker-registry, and some ten times `--pull-data` in the temporary directory.
 */
import { parseArgs } from "node:util";
import { benchCopies } from "../lib/disk/copy-part.ts";
import { benchPulls } from "../lib/disk/pull-part.ts";
import type { DiskKind } from "../lib/fresh-disk.ts";

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      part: { type: "string", default: "copy,pull" },
      runs: { type: "string", default: "5" },
      on: { type: "string", default: "tmpfs,ext4" },
      size: { type: "string", default: "3000" },
      data: { type: "string", default: "1700" },
      crumbs: { type: "string", default: "65536" },
      "pull-size": { type: "string", default: "10000" },
      "pull-data": { type: "string", default: "2000" },
      grow: { type: "string", default: "2000" },
      replaced: { type: "string", default: "400" },
      seed: { type: "string", default: "1" },
      "chunk-size": { type: "string" },
    },
  });
  const parts = values.part.split(",");
  const runs = Number(values.runs);
  if (parts.includes("copy")) {
    const on = values.on.split(",") as DiskKind[];
    const [size, data, crumbs] = [values.size, values.data, values.crumbs].map(Number) as [number, number, number];
    await benchCopies({ on, runs, size, data, crumbs });
  }
  if (parts.includes("pull")) {
    const chunkSize = values["chunk-size"];
    await benchPulls({
      runs,
      size: Number(values["pull-size"]),
      data: Number(values["pull-data"]),
      grow: Number(values.grow),
      replaced: Number(values.replaced),
      seed: Number(values.seed),
      chunkSize: chunkSize === undefined ? undefined : Number(chunkSize),
    });
  }
}
