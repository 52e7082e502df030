/**
 * Pull and unpack of a real image from a docker-registry on loopback, next to skopeo + umoci and (where installed) containerd,
 * and next to the floor: inflating and hashing the same layers. The contenders alternate within one run, each on a file
 * system made anew; medians are quoted.
 *
 *   npm run bench -- pull [--image HOST:PORT/NAME:TAG] [--on tmpfs,ext4] [--runs 3] [--size GIB]
 *   npm run bench -- pull --times 10 --size 40     memory, on an image ten times as large
 *
 * Without `--image` a Debian image of about a gigabyte is built (see lib/real-image.ts; a quarter of an hour).
 */
import { writeFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { containerdContender } from "../lib/containerd.ts";
import { freshDisk, type DiskKind } from "../lib/fresh-disk.ts";
import { inSequence, measure, median, type Cost } from "../lib/measure.ts";
import { multiplyImage } from "../lib/multiply-image.ts";
import { withRealImage } from "../lib/real-image.ts";
import { hasProgram, printTable } from "../lib/table.ts";

const VARVE = join(import.meta.dirname, "../../bin/varve.js");

interface Contender {
  readonly name: string;
  readonly run: (image: string, dir: string) => Promise<Cost>;
}

function varve(...args: string[]): Promise<Cost> {
  return measure(process.execPath, [VARVE, ...args, "--progress", "none", "-q"]);
}

const CONTENDERS: readonly Contender[] = [
  {
    name: "varve pull --no-unpack, unpack",
    run: async (image, dir) =>
      inSequence(
        await varve("--root", join(dir, "store"), "pull", "--no-unpack", image),
        await varve("--root", join(dir, "store"), "unpack", image, join(dir, "tree")),
      ),
  },
  {
    name: "varve pull (checks DiffIDs), unpack",
    run: async (image, dir) =>
      inSequence(
        await varve("--root", join(dir, "store"), "pull", "--snapshotter", "none", image),
        await varve("--root", join(dir, "store"), "unpack", image, join(dir, "tree")),
      ),
  },
  {
    name: "skopeo copy, umoci unpack",
    run: async (image, dir) =>
      inSequence(
        await measure("skopeo", [
          "copy",
          "-q",
          "--insecure-policy",
          "--src-tls-verify=false",
          `docker://${image}`,
          `oci:${dir}/oci:it`,
        ]),
        await measure("umoci", ["unpack", "--image", `${dir}/oci:it`, `${dir}/bundle`]),
      ),
  },
];

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      image: { type: "string" },
      on: { type: "string", default: "tmpfs,ext4" },
      runs: { type: "string", default: "3" },
      size: { type: "string", default: "14" },
      json: { type: "string" },
      times: { type: "string" },
    },
  });
  const work = (image: string): Promise<void> =>
    values.times === undefined ? compare(image, values) : watchMemory(image, Number(values.times), values.size);
  return values.image === undefined ? withRealImage(work) : work(values.image);
}

/** varve alone, on the image and on one `times` as large: the peak must not grow with the size. */
async function watchMemory(image: string, times: number, size: string): Promise<void> {
  await using disk = await freshDisk("ext4", Number(size));
  const larger = await multiplyImage(image, times, disk.path);
  await rm(join(disk.path, "layout"), { recursive: true });
  const costs: Record<string, Cost> = {};
  for (const [name, which] of [
    ["once", image],
    [`${times} times as large`, larger],
  ] as const) {
    const dir = join(disk.path, "run");
    const store = join(dir, "store");
    costs[`pull, ${name}`] = await varve("--root", store, "pull", "--snapshotter", "none", which);
    costs[`unpack, ${name}`] = await varve("--root", store, "unpack", which, join(dir, "tree"));
    await rm(dir, { recursive: true });
  }
  printTable(`${image}, and ${larger}`, costs);
}

interface Options {
  readonly on: string;
  readonly runs: string;
  readonly size: string;
  readonly json?: string | undefined;
}

async function compare(image: string, options: Options): Promise<void> {
  const containerd = (await hasProgram("containerd")) ? [containerdContender] : [];
  const contenders = [...CONTENDERS, ...containerd].filter(
    ({ name }) => !name.startsWith("skopeo") || (findPeer("skopeo") !== undefined && findPeer("umoci") !== undefined),
  );
  const results: Record<string, Record<string, Cost>> = {};
  for (const kind of options.on.split(",") as DiskKind[]) {
    const costs = new Map<string, Cost[]>(contenders.map(({ name }) => [name, []]));
    for (let round = 0; round < Number(options.runs); round++) {
      for (const contender of contenders) {
        await using disk = await freshDisk(kind, Number(options.size));
        costs.get(contender.name)?.push(await contender.run(image, disk.path));
      }
    }
    const floor = await floorOf(image);
    results[kind] = { ...Object.fromEntries([...costs].map(([name, list]) => [name, median(list)])), ...floor };
    printTable(`${image} onto ${kind}, median of ${options.runs}`, results[kind]);
  }
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify({ image, results }, null, 2)}\n`);
}

/** What nobody can do without: inflating the layers and hashing what comes out, one layer after the other. */
async function floorOf(image: string): Promise<Record<string, Cost>> {
  await using disk = await freshDisk("tmpfs", 6);
  const dir = join(disk.path, "blobs");
  await mkdir(dir);
  await runOk(
    "skopeo",
    ["copy", "-q", "--insecure-policy", "--src-tls-verify=false", `docker://${image}`, `dir:${dir}`],
    {
      timeoutMs: 600_000,
    },
  );
  const floor: Record<string, Cost> = {};
  for (const tool of ["gzip", "igzip"]) {
    if (!(await hasProgram(tool))) continue;
    // Documents are not gzip; what is, is a layer.
    floor[`floor: ${tool} -dc | sha256sum of each layer`] = await measure("sh", [
      "-c",
      `cd "${dir}" && for f in *; do case "$(od -An -tx1 -N2 "$f")" in " 1f 8b") ${tool} -dc <"$f" | sha256sum >/dev/null;; esac; done`,
    ]);
  }
  await rm(dir, { recursive: true });
  return floor;
}
