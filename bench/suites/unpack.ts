/**
 * A real image from a docker-registry on loopback until it is ready to mount: each driver with one, two and four unpack jobs, next to
 * containerd (where installed), and the floor: `tar x` of each layer. The contenders alternate within one run, each on a file system made
 * anew; medians are quoted.
 *
 *   npm run bench -- unpack [--image HOST:PORT/NAME:TAG] [--on tmpfs,ext4] [--runs 3] [--size GIB] [--drivers erofs,overlay] [--jobs 1,2,4]
 *
 * Without `--image` a Debian image of about a gigabyte is built (see lib/real-image.ts; a quarter of an hour).
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runOk } from "../../test/kit/peers/run.ts";
import { containerdContender } from "../lib/containerd.ts";
import { freshDisk, type DiskKind } from "../lib/fresh-disk.ts";
import { measure, median, type Cost } from "../lib/measure.ts";
import { withRealImage } from "../lib/real-image.ts";
import { hasProgram, printTable } from "../lib/table.ts";

const VARVE = join(import.meta.dirname, "../../bin/varve.js");

interface Contender {
  readonly name: string;
  readonly run: (image: string, dir: string) => Promise<Cost>;
}

interface Options {
  readonly on: string;
  readonly runs: string;
  readonly size: string;
  readonly drivers: string;
  readonly jobs: string;
  readonly json?: string | undefined;
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      image: { type: "string" },
      on: { type: "string", default: "tmpfs,ext4" },
      runs: { type: "string", default: "3" },
      size: { type: "string", default: "14" },
      drivers: { type: "string", default: "erofs,overlay" },
      jobs: { type: "string", default: "1,2,4" },
      json: { type: "string" },
    },
  });
  const work = (image: string): Promise<void> => compare(image, values);
  return values.image === undefined ? withRealImage(work) : work(values.image);
}

async function compare(image: string, options: Options): Promise<void> {
  const contenders = await contendersFor(options);
  const results: Record<string, Record<string, Cost>> = {};
  for (const kind of options.on.split(",") as DiskKind[]) {
    const costs = new Map<string, Cost[]>(contenders.map(({ name }) => [name, []]));
    for (let round = 0; round < Number(options.runs); round++) {
      for (const contender of contenders) {
        await using disk = await freshDisk(kind, Number(options.size));
        costs.get(contender.name)?.push(await contender.run(image, disk.path));
      }
    }
    results[kind] = Object.fromEntries([...costs].map(([name, list]) => [name, median(list)]));
    printTable(`${image} onto ${kind}, ready to mount, median of ${options.runs}`, results[kind]);
  }
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify({ image, results }, null, 2)}\n`);
}

async function contendersFor({ drivers, jobs }: Options): Promise<Contender[]> {
  const own = drivers.split(",").flatMap((driver) => jobs.split(",").map((count) => varveContender(driver, count)));
  const containerd = (await hasProgram("containerd")) ? [containerdContender] : [];
  const floors: Contender[] = [];
  for (const tool of ["gzip", "igzip"]) if (await hasProgram(tool)) floors.push(floorContender(tool));
  return [...own, ...containerd, ...floors];
}

function varveContender(driver: string, jobs: string): Contender {
  return {
    name: `varve pull, ${driver}, ${jobs} unpack jobs`,
    run: (image, dir) =>
      measure(process.execPath, [
        VARVE,
        "--root",
        join(dir, "store"),
        "pull",
        "--snapshotter",
        driver,
        "--unpack-jobs",
        jobs,
        "--progress",
        "none",
        "-q",
        image,
      ]),
  };
}

/** What nobody who makes files can do without, one layer after the other; the fetching is not counted. */
function floorContender(tool: string): Contender {
  return {
    name: `floor: ${tool} -dc | tar x of each layer`,
    async run(image, dir) {
      const blobs = join(dir, "blobs");
      await mkdir(blobs);
      const source = `docker://${image}`;
      await runOk("skopeo", ["copy", "-q", "--insecure-policy", "--src-tls-verify=false", source, `dir:${blobs}`], {
        timeoutMs: 600_000,
      });
      // Documents are not gzip; what is, is a layer.
      return measure("sh", [
        "-c",
        `cd "${blobs}" && for f in *; do case "$(od -An -tx1 -N2 "$f")" in
           " 1f 8b") mkdir "../$f" && ${tool} -dc <"$f" | tar x -p --same-owner --xattrs --xattrs-include='*' -C "../$f" || exit 1;;
         esac; done`,
      ]);
    },
  };
}
