/**
 * Two versions of an image in a registry of the benchmark's own, each with gzip layers and as zstd:chunked: copied from images that are
 * given, or made up. What is there already from an earlier run is taken as it is.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { runVarve } from "../../../test/kit/peers/varve.ts";
import { editLine } from "./edit-line.ts";
import { writeLayout, type Tar } from "./layout-image.ts";
import { madeLayer } from "./made-layers.ts";
import { hasImage, layersOf, openLayer } from "./registry-image.ts";

export const VERSIONS = ["old", "new"] as const;
export const FORMS = ["plain", "chunked"] as const;
export type Form = (typeof FORMS)[number];
export const PAIRS = ["app", "base", "line"] as const;
export type PairName = (typeof PAIRS)[number];

export interface PairSetup {
  /** The benchmark's own: `127.0.0.1:PORT`. */
  readonly host: string;
  /** For what is built; nothing is left there. */
  readonly dir: string;
  /** Images of the two versions, or the one whose layer gets a line more: `HOST/NAME:TAG`. Default: made up. */
  readonly from?: readonly string[] | undefined;
  /** Bytes of content of what is made up. */
  readonly bytes: number;
}

/** The reference of an image of a pair. */
export function imageOf(host: string, pair: PairName, version: (typeof VERSIONS)[number], form: Form): string {
  return `${host}/${pair}:${version}-${form}`;
}

/** Sees to it that all four images are there. */
export async function preparePair(pair: PairName, setup: PairSetup): Promise<void> {
  const { host } = setup;
  const isThere = async (form: Form) =>
    (await Promise.all(VERSIONS.map((version) => hasImage(imageOf(host, pair, version, form))))).every(Boolean);
  if (!(await isThere("plain"))) await preparePlain(pair, setup);
  if (await isThere("chunked")) return;
  for (const version of VERSIONS) {
    const [from, to] = FORMS.map((form) => `docker://${imageOf(host, pair, version, form)}`) as [string, string];
    await varve(setup.dir, "convert", from, to, "--compression", "zstd:chunked");
  }
}

async function preparePlain(pair: PairName, setup: PairSetup): Promise<void> {
  const { host, from, dir } = setup;
  if (from !== undefined && pair !== "line") {
    for (const [index, version] of VERSIONS.entries()) {
      await varve(dir, "copy", `docker://${from[index]}`, `docker://${imageOf(host, pair, version, "plain")}`);
    }
    return;
  }
  const made = join(dir, "made");
  await mkdir(made, { recursive: true });
  const versions = pair === "line" ? await lineVersions(made, setup) : madeVersions(pair, setup.bytes);
  for (const [index, version] of VERSIONS.entries()) {
    const layout = join(made, version);
    await writeLayout(layout, versions[index] ?? []);
    await varve(dir, "copy", `oci:${layout}`, `docker://${imageOf(host, pair, version, "plain")}`);
    await rm(layout, { recursive: true });
  }
  await rm(made, { recursive: true });
}

/** An image of a system and an application above it; one of them has changed, and the other one was built again if it lies above. */
function madeVersions(pair: "app" | "base", bytes: number): Tar[][] {
  return [1, 2].map((version) => {
    const system = pair === "base" ? { changesEvery: 7, version } : { version: 1 };
    const app = pair === "app" ? { changesEvery: 3, version } : { version };
    return [
      madeLayer({ bytes: bytes * 0.6, name: "system", ...system }),
      madeLayer({ bytes: bytes * 0.4, name: "app", ...app }),
    ];
  });
}

/** One layer, of the image that is given the largest; then the same with one line more in one of its files. */
async function lineVersions(dir: string, { from, bytes }: PairSetup): Promise<[Tar[], Tar[]]> {
  const tar = join(dir, "layer.tar");
  const source =
    from?.[0] === undefined
      ? Readable.from(madeLayer({ bytes, name: "layer", version: 1 }), { objectMode: false })
      : await largestLayer(from[0]);
  await pipeline(source, createWriteStream(tar));
  const edited = await editLine(tar);
  console.log(`one line more in ${edited.name}, of ${edited.size} bytes`);
  return [[createReadStream(tar)], [edited.bytes]];
}

/** Its tar. */
async function largestLayer(image: string): Promise<Readable> {
  const [largest] = (await layersOf(image)).toSorted((a, b) => b.size - a.size);
  if (largest?.mediaType.endsWith("gzip") !== true) throw new Error(`the largest layer of ${image} is not gzip`);
  return (await openLayer(image, largest)).pipe(createGunzip());
}

async function varve(dir: string, ...args: string[]): Promise<void> {
  const root = join(dir, "converting");
  const { code, stderr } = await runVarve([...args, "-q", "--progress", "none"], { root, timeoutMs: 3_600_000 });
  await rm(root, { recursive: true, force: true });
  if (code !== 0) throw new Error(`varve ${args.join(" ")} ended with ${code}:\n${stderr}`);
}
