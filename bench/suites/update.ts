/**
 * What an update costs on a machine that holds the old version: bytes and requests, and time over lines of several kinds, of an image
 * with gzip layers, and of the same as zstd:chunked, next to casync (where installed). Each pull is a process of its own on a fresh copy of a store.
 *
 *   npm run bench -- update [--pairs app,base,line] [--app OLD,NEW] [--base OLD,NEW] [--line IMAGE] [--lines loopback,100,10]
 *                           [--forms plain,chunked,casync] [--runs 1] [--on ext4] [--size 24] [--dir DIR] [--json FILE]
 *
 *   app    only the layers of the application change
 *   base   the system below changes, and all above is built again
 *   line   one line in one file of the largest layer of an image
 *
 * Images are named HOST/NAME:TAG, in registries with plain HTTP; without a name they are made up: 500 MB for `line`, 100 MB for the others. `--dir`
 * keeps them, converted, for the next run. The floor is what the new version's frames have of content that the old one has nowhere.
 */
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openStore } from "../../src/store/store.ts";
import { startDockerRegistry } from "../../test/kit/peers/docker-registry.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { copyStore } from "../lib/copy-store.ts";
import { freshDisk, type DiskKind } from "../lib/fresh-disk.ts";
import { measureOutput, median, type Cost } from "../lib/measure.ts";
import { hasProgram } from "../lib/table.ts";
import { casyncUpdate } from "../lib/update/casync.ts";
import { changedContent, type ChangedContent } from "../lib/update/changed-content.ts";
import { imageOf, preparePair, FORMS, type Form, type PairName } from "../lib/update/pairs.ts";
import { startShapedLink, type LinkSetup } from "../lib/update/shaped-link.ts";

const VARVE = join(import.meta.dirname, "../../bin/varve.js");

const LINES: Readonly<Record<string, Omit<LinkSetup, "target"> | undefined>> = {
  loopback: undefined,
  "100": { bitsPerSecond: 100e6, roundTripMs: 40 },
  "10": { bitsPerSecond: 10e6, roundTripMs: 100 },
};

interface Moved {
  readonly bytes: number;
  readonly requests: number;
}

interface Row extends Moved {
  readonly name: string;
  readonly cost: Cost | undefined;
}

interface Options {
  readonly lines: readonly string[];
  readonly forms: readonly string[];
  readonly runs: number;
  readonly on: DiskKind;
  readonly size: number;
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pairs: { type: "string", default: "app,base,line" },
      app: { type: "string" },
      base: { type: "string" },
      line: { type: "string" },
      lines: { type: "string", default: Object.keys(LINES).join(",") },
      forms: { type: "string", default: [...FORMS, "casync"].join(",") },
      runs: { type: "string", default: "1" },
      on: { type: "string", default: "ext4" },
      size: { type: "string", default: "24" },
      dir: { type: "string" },
      json: { type: "string" },
    },
  });
  await using own = await tempDir("varve-update-");
  const dir = values.dir ?? own.path;
  await using registry = await startDockerRegistry({ dir: join(dir, "registry") });
  const options = {
    lines: values.lines.split(","),
    forms: values.forms.split(","),
    runs: Number(values.runs),
    on: values.on as DiskKind,
    size: Number(values.size),
  };
  const results: Record<string, object> = {};
  for (const pair of values.pairs.split(",") as PairName[]) {
    const bytes = pair === "line" ? 500e6 : 100e6;
    await preparePair(pair, { host: registry.host, dir, from: values[pair]?.split(","), bytes });
    results[pair] = await compare(pair, registry.host, options);
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results, null, 2)}\n`);
  }
}

async function compare(pair: PairName, host: string, options: Options): Promise<object> {
  const images = FORMS.map((form) => [imageOf(host, pair, "old", form), imageOf(host, pair, "new", form)] as const);
  const changed = await changedContent(...images[FORMS.indexOf("chunked")]!);
  await using disk = await freshDisk(options.on, options.size);
  const forms = FORMS.filter((form) => options.forms.includes(form));
  for (const form of forms) {
    await pull(join(disk.path, form), imageOf(host, pair, "old", form));
  }
  const rows: Row[] = [];
  for (const line of options.lines)
    rows.push(...(await overLine(line, pair, host, { ...options, forms, dir: disk.path })));
  for (const form of forms) rows.push(await planned(form, pair, host, disk.path));
  if (options.forms.includes("casync")) {
    if (await hasProgram("casync")) {
      const moved = await casyncUpdate(...images[FORMS.indexOf("plain")]!, disk.path);
      rows.push({ name: "casync, of the layers' tars", ...moved, cost: undefined });
    } else console.log("casync is not installed: skipped");
  }
  print(pair, changed, rows);
  return { changed, rows };
}

interface LineOptions extends Options {
  readonly forms: readonly Form[];
  readonly dir: string;
}

/** Each form in turn, so many times. */
async function overLine(line: string, pair: PairName, host: string, options: LineOptions): Promise<Row[]> {
  const setup = LINES[line];
  await using stack = new AsyncDisposableStack();
  const link = setup && stack.use(await startShapedLink({ target: host, ...setup }));
  const costs = new Map<Form, Cost[]>(options.forms.map((form) => [form, []]));
  const moved = new Map<Form, Moved>();
  for (let run = 0; run < options.runs; run++) {
    for (const form of options.forms) {
      const store = join(options.dir, "run");
      await copyStore(join(options.dir, form), store);
      if (link !== undefined) await rememberLine(store, link.host, setup?.bitsPerSecond ?? Infinity);
      const measured = await pull(store, imageOf(link?.host ?? host, pair, "new", form));
      costs.get(form)?.push(measured.cost);
      moved.set(form, measured.moved);
      const indexes = await countIndexes(store);
      if (form === "plain" && indexes > 0) throw new Error(`a plain pull has written ${indexes} indexes`);
      await rm(store, { recursive: true });
    }
  }
  const named = line === "loopback" ? line : `${line} Mbit/s, ${setup?.roundTripMs ?? 0} ms`;
  return options.forms.map((form) => ({
    name: `${named}: ${form}`,
    ...(moved.get(form) ?? { bytes: Number.NaN, requests: Number.NaN }),
    cost: median(costs.get(form) ?? []),
  }));
}

/** As if the old version had come over this line, and not over loopback, which saves hours. */
async function rememberLine(root: string, host: string, bitsPerSecond: number): Promise<void> {
  await using store = await openStore(root);
  await store.registryRates.record(host, bitsPerSecond / 8);
}

/** What only planning costs: it fetches tables of contents, builds indexes and looks everything up. */
async function planned(form: Form, pair: PairName, host: string, dir: string): Promise<Row> {
  const store = join(dir, "run");
  await copyStore(join(dir, form), store);
  const { cost, moved } = await pull(store, imageOf(host, pair, "new", form), "--plan");
  await rm(store, { recursive: true });
  return { name: `loopback: ${form}, plan only`, ...moved, cost };
}

async function pull(root: string, image: string, ...flags: string[]): Promise<{ cost: Cost; moved: Moved }> {
  const args = [VARVE, "--root", root, "pull", ...flags, "--json", "--progress", "none", "-q", image];
  const { cost, stdout } = await measureOutput(process.execPath, args);
  const result = JSON.parse(stdout) as PullOutput;
  // A plan's own requests are for the image's documents.
  const planned = result.status === "planned" ? result.layers.reduce((sum, { requests }) => sum + requests, 0) : 0;
  return { cost, moved: { bytes: result.bytes.network, requests: result.requests + planned } };
}

interface PullOutput {
  readonly status: string;
  readonly bytes: { readonly network: number };
  readonly requests: number;
  readonly layers: readonly { readonly requests: number }[];
}

async function countIndexes(store: string): Promise<number> {
  return (await readdir(store, { recursive: true })).filter((path) => /(^|\/)sources\.[a-z]+$/.test(path)).length;
}

function print(pair: PairName, changed: ChangedContent, rows: readonly Row[]): void {
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const width = Math.max(...rows.map(({ name }) => name.length));
  console.log(
    `\n${pair}: an image of ${mb(changed.image)} MB as zstd:chunked, ${mb(changed.layers)} MB in layers that are new`,
  );
  console.log(`changed files ${mb(changed.files)} MB, changed content of them ${mb(changed.chunks)} MB: the floor`);
  console.log(`tables of contents ${mb(changed.tables)} MB`);
  console.log(`${"".padEnd(width)}       MB  of floor  requests   wall s   user s    sys s  RSS MiB`);
  for (const { name, bytes, requests, cost } of rows) {
    const times =
      cost === undefined ? [] : [cost.wall, cost.user, cost.system].map((time) => time.toFixed(1).padStart(8));
    const rss = cost?.rss.toFixed(0).padStart(8) ?? "";
    const share = (bytes / changed.chunks).toFixed(2).padStart(9);
    const moved = `${mb(bytes).padStart(8)} ${share} ${String(requests).padStart(9)}`;
    console.log([name.padEnd(width), moved, ...times, rss].join(" "));
  }
}
