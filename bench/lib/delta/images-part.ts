/**
 * Deltas between whole images: made by `varve delta create`, and pulled from a docker-registry on loopback by a machine that holds the old version, next to
 * a plain pull of the new one by the same machine. Every pull has to end in the new version's own image ID.
 */
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { DeltaCreated, PullResult } from "../../../src/index.ts";
import { startDockerRegistry } from "../../../test/kit/peers/docker-registry.ts";
import { VARVE_BIN } from "../../../test/kit/peers/varve.ts";
import { copyStore } from "../copy-store.ts";
import { freshDisk, type DiskKind } from "../fresh-disk.ts";
import { measureOutput, median, type Cost } from "../measure.ts";
import { writeLayout } from "../update/layout-image.ts";
import { cpu } from "./files-part.ts";
import { preparePair, type PairName } from "./pairs.ts";
import type { Target } from "./targets.ts";

export interface ImagesPartOptions {
  /** Two images, `HOST/NAME:TAG`. Default: made of two pairs of tars. */
  readonly images: readonly string[] | undefined;
  readonly rounds: number;
  readonly dir: string;
  readonly on: DiskKind;
  /** Of the file system, in GiB. */
  readonly size: number;
}

/** Of which an image is made for want of a real one: a system and an application above it. */
const LAYERS: readonly PairName[] = ["debian", "app"];
const REPOSITORIES = ["plain", "librsync", "tar-diff"] as const;

interface Way {
  readonly name: string;
  readonly image: string;
  readonly flags: readonly string[];
}

export async function benchImages(options: ImagesPartOptions): Promise<Target[]> {
  const { dir, images, on, size } = options;
  await using registry = await startDockerRegistry({ dir: join(dir, "registry") });
  const { host } = registry;
  const sources = images ?? (await madeImages(dir));
  for (const repository of REPOSITORIES) {
    for (const [index, tag] of ["old", "new"].entries()) {
      const from = images === undefined ? sources[index]! : `docker://${sources[index]!}`;
      await varve(join(dir, "copying"), "copy", from, `docker://${host}/${repository}:${tag}`);
    }
  }
  await using disk = await freshDisk(on, size);
  const [old, both] = [join(disk.path, "old"), join(disk.path, "both")];
  await varve(old, "pull", `${host}/plain:old`);
  await copyStore(old, both);
  const target = JSON.parse((await varve(both, "pull", `${host}/plain:new`)).stdout) as PullResult;
  const targets = await create(both, host);
  await rm(both, { recursive: true });
  const ways: Way[] = [
    { name: "plain", image: `${host}/plain:new`, flags: [] },
    { name: "delta image", image: `${host}/librsync:delta`, flags: [] },
    { name: "librsync, found", image: `${host}/librsync:new`, flags: ["--delta", "always"] },
    { name: "tar-diff, found", image: `${host}/tar-diff:new`, flags: ["--delta", "always"] },
  ];
  const pulls = await race(ways, { ...options, old, run: join(disk.path, "run"), imageId: target.imageId });
  return [...targets, ...pulls];
}

async function madeImages(dir: string): Promise<string[]> {
  const pairs = [];
  for (const name of LAYERS) pairs.push(await preparePair(name, join(dir, "pairs", name)));
  const layouts: string[] = [];
  for (const version of ["base", "target"] as const) {
    const layout = join(dir, "layouts", version);
    await rm(layout, { recursive: true, force: true });
    await writeLayout(
      layout,
      pairs.map((pair) => createReadStream(pair[version])),
    );
    layouts.push(`oci:${layout}`);
  }
  return layouts;
}

/** Both kinds of deltas, each pushed beside the new version. */
async function create(store: string, host: string): Promise<Target[]> {
  const targets: Target[] = [];
  console.log("\ndeltas of images              MB    plain MB   create s      CPU s    RSS MiB");
  for (const format of ["librsync", "tar-diff"] as const) {
    const push = `${host}/${format}${format === "librsync" ? ":delta" : ""}`;
    // Both versions are known by the names of this repository as well, without anything being moved.
    for (const tag of ["old", "new"]) await varve(store, "pull", `${host}/${format}:${tag}`);
    const names = [`${host}/${format}:old`, `${host}/${format}:new`];
    const { cost, stdout } = await varve(store, "delta", "create", ...names, "--format", format, "--push", push);
    const made = JSON.parse(stdout) as DeltaCreated;
    const cells = [
      (made.deltaBlobBytes / 1e6).toFixed(1),
      (made.blobBytes / 1e6).toFixed(1),
      ...[cost.wall, cpu(cost)].map((time) => time.toFixed(1)),
      cost.rss.toFixed(0),
    ];
    console.log([format.padEnd(20), ...cells.map((cell) => cell.padStart(10))].join(" "));
    const rate = made.bytes / 1e6 / cpu(cost);
    if (format === "librsync") {
      targets.push({ what: "image: librsync created", value: rate, limit: 60, unit: " MB/s of CPU", isLeast: true });
    }
    targets.push({ what: `image: ${format} created in`, value: cost.rss, limit: 500, unit: " MiB" });
  }
  return targets;
}

interface Race extends ImagesPartOptions {
  /** A store that has the old version. */
  readonly old: string;
  readonly run: string;
  readonly imageId: string;
}

async function race(ways: readonly Way[], { rounds, old, run, imageId }: Race): Promise<Target[]> {
  const costs = new Map<Way, Cost[]>(ways.map((way) => [way, []]));
  const moved = new Map<Way, PullResult>();
  for (let round = 0; round < rounds; round++) {
    for (const way of [...ways.slice(round % ways.length), ...ways.slice(0, round % ways.length)]) {
      await copyStore(old, run);
      const { cost, stdout } = await varve(run, "pull", ...way.flags, way.image);
      const result = JSON.parse(stdout) as PullResult;
      if (result.imageId !== imageId) throw new Error(`${way.name} ended in the image ${result.imageId}`);
      costs.get(way)?.push(cost);
      moved.set(way, result);
      await rm(run, { recursive: true });
    }
  }
  const plain = median(costs.get(ways[0]!)!);
  const head = ["MB", "requests", "wall s", "of plain", "CPU s", "of plain", "tar MB/s", "RSS MiB"];
  console.log(["\npulls over the old  ", ...head.map((title) => title.padStart(10))].join(" "));
  const targets: Target[] = [];
  for (const [way, list] of costs) {
    const [cost, result] = [median(list), moved.get(way)!];
    const cells = [
      result.requests.toString(),
      cost.wall.toFixed(1),
      (cost.wall / plain.wall).toFixed(2),
      cpu(cost).toFixed(1),
      (cpu(cost) / cpu(plain)).toFixed(2),
      way === ways[0] ? "-" : (madeBytes(result) / 1e6 / cost.wall).toFixed(0),
      cost.rss.toFixed(0),
    ];
    const bytes = (result.bytes.network / 1e6).toFixed(1).padStart(10);
    const hows = [...new Set(result.layers.map(({ how }) => how))].join(", ");
    console.log(`${way.name.padEnd(20)} ${bytes} ${cells.map((cell) => cell.padStart(10)).join(" ")}  ${hows}`);
    if (way !== ways[0])
      targets.push({ what: `image: ${way.name}, pulled in`, value: cost.rss, limit: 200, unit: " MiB" });
  }
  return targets;
}

/** Of the tars that deltas made. */
function madeBytes({ bytes }: PullResult): number {
  return bytes.local + bytes.data;
}

async function varve(root: string, ...args: string[]): Promise<{ cost: Cost; stdout: string }> {
  const flags = ["--root", root, "--json", "--progress", "none", "-q"];
  return measureOutput(process.execPath, [VARVE_BIN, ...flags, ...args]);
}
