/**
 * What deltas between plain files take, next to librsync's own program: size, as they are and compressed, time and memory.
 *
 *   npm run bench -- rdiff [--base FILE --target FILE] [--runs 3]
 *
 * Without files the last two versions of some Debian packages are got and packed into two tars. Contenders alternate, medians are quoted, and
 * each delta is applied by the other program and compared. What `rdiff` needs a signature for has that in its time.
 */
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { VARVE_BIN } from "../../test/kit/peers/varve.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { debianPair, type Pair } from "../lib/debian-pair.ts";
import { inSequence, measure, median, type Cost } from "../lib/measure.ts";
import { hasProgram, printTable } from "../lib/table.ts";

const call = promisify(execFile);

/** Steps, each a program with its arguments; the last writes `delta`. */
type Contender = readonly (readonly string[])[];

const varve = (...args: string[]): string[] => [
  process.execPath,
  VARVE_BIN,
  "rdiff",
  ...args,
  "-q",
  "--force",
  "--progress",
  "none",
];
const rdiff = (...args: string[]): string[] => ["rdiff", "-f", ...args];
const BALENA = ["-R", "rollsum", "-b", "512"];

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { base: { type: "string" }, target: { type: "string" }, runs: { type: "string", default: "3" } },
  });
  if (!(await hasProgram("rdiff"))) throw new Error("rdiff is needed: Debian's package rdiff");
  await using dir = await tempDir("varve-bench-");
  const { base, target } = await pairOf(values, dir.path);
  const [sums, made] = [join(dir.path, "sums"), join(dir.path, "made")];
  const delta = (name: string): string => join(dir.path, `${name}.delta`);
  const contenders: Record<string, Contender> = {
    "diff, varve": [varve("diff", base, target, delta("diff, varve"))],
    "delta 512, varve": [
      varve("signature", base, sums, ...BALENA),
      varve("delta", sums, target, delta("delta 512, varve")),
    ],
    "delta 512, rdiff": [
      rdiff(...BALENA, "signature", base, sums),
      rdiff("delta", sums, target, delta("delta 512, rdiff")),
    ],
    "delta, varve": [varve("signature", base, sums), varve("delta", sums, target, delta("delta, varve"))],
    "delta, rdiff": [rdiff("signature", base, sums), rdiff("delta", sums, target, delta("delta, rdiff"))],
    "patch, varve": [varve("patch", base, delta("diff, varve"), made)],
    "patch, rdiff": [rdiff("patch", base, delta("diff, varve"), made)],
  };
  const costs = new Map<string, Cost[]>(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < Number(values.runs); round++) {
    for (const [name, steps] of Object.entries(contenders)) {
      const taken: Cost[] = [];
      for (const [program = "", ...rest] of steps) taken.push(await measure(program, rest));
      costs.get(name)?.push(inSequence(...taken));
    }
  }
  const size = (await stat(target)).size;
  printTable(
    `${(size / 1e6).toFixed(1)} MB, median of ${values.runs}`,
    Object.fromEntries([...costs].map(([name, list]) => [name, median(list)])),
  );
  await printSizes(
    Object.keys(contenders).filter((name) => name.startsWith("d")),
    { base, target },
    delta,
    made,
  );
}

async function pairOf(given: { readonly base?: string; readonly target?: string }, directory: string): Promise<Pair> {
  const { base, target } = given;
  return base !== undefined && target !== undefined ? { base, target } : debianPair(directory);
}

/** Each delta has to make the target, with the program that did not write it. */
async function printSizes(
  names: readonly string[],
  { base, target }: Pair,
  delta: (name: string) => string,
  made: string,
): Promise<void> {
  const sizes = new Map<string, readonly [raw: number, gzip: number]>();
  for (const name of names) {
    const patch = name.endsWith("varve") ? rdiff : varve;
    const [program = "", ...rest] = patch("patch", base, delta(name), made);
    await call(program, rest);
    await call("cmp", [made, target]);
    const { stdout } = await call("sh", ["-c", 'gzip -6 -c "$1" | wc -c', "sh", delta(name)]);
    sizes.set(name, [(await stat(delta(name))).size, Number(stdout)]);
  }
  const [raw = 1, gzip = 1] = sizes.get("delta 512, rdiff") ?? [];
  console.log("\nsizes                 raw MB  gzip MB   of rdiff's with 512: raw, gzip");
  for (const [name, [ownRaw, ownGzip]] of sizes) {
    const figures = [ownRaw / 1e6, ownGzip / 1e6, ownRaw / raw, ownGzip / gzip].map((one) =>
      one.toFixed(2).padStart(8),
    );
    console.log(`${name.padEnd(18)} ${figures.join(" ")}`);
  }
}
