/** Deltas of one tar from another: each contender in turn, another one first in each round; all that is made is compared with the target. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runOk } from "../../../test/kit/peers/run.ts";
import type { Pair } from "../debian-pair.ts";
import { inSequence, measure, median, type Cost } from "../measure.ts";
import { hasProgram } from "../table.ts";
import { BALENA, contenders, type Contender, type Step } from "./contenders.ts";
import { filePairs } from "./file-pairs.ts";
import { DESCRIPTIONS, preparePair, type PairName } from "./pairs.ts";

export interface FilesPartOptions {
  readonly pairs: readonly PairName[];
  readonly rounds: number;
  /** Where pairs are made, and kept for another run. */
  readonly dir: string;
  /** Of contenders; the others are left out. */
  readonly only: readonly string[] | undefined;
}

export interface Figures {
  /** Bytes of what travels. */
  readonly size: number;
  readonly create: Cost;
  readonly apply: Cost;
}

export interface PairFigures {
  readonly pair: PairName;
  /** Of the target. */
  readonly bytes: number;
  /** What the librsync delta of the target to itself takes, as it travels. */
  readonly unchanged: number;
  /** By contender. */
  readonly figures: ReadonlyMap<string, Figures>;
}

export async function benchFiles({ pairs, rounds, dir, only }: FilesPartOptions): Promise<PairFigures[]> {
  const results: PairFigures[] = [];
  for (const name of pairs) {
    const pair = await preparePair(name, join(dir, name)).catch((error: Error) => {
      console.log(`\n${name}: left out, for it cannot be made here: ${error.message.split("\n")[0]}`);
    });
    if (pair === undefined) continue;
    const result = await compare(name, pair, rounds, join(dir, `${name}-made`), only);
    print(result, rounds);
    results.push(result);
  }
  return results;
}

async function compare(
  name: PairName,
  pair: Pair,
  rounds: number,
  dir: string,
  only: readonly string[] | undefined,
): Promise<PairFigures> {
  const bytes = statSync(pair.target).size;
  await mkdir(dir, { recursive: true });
  const chosen: Contender[] = [];
  for (const one of contenders(pair, await filePairs(pair, dir), dir, bytes)) {
    if (only !== undefined && !only.includes(one.name)) continue;
    if (one.needs === undefined || (await hasProgram(one.needs))) chosen.push(one);
    else console.log(`${one.name}: left out, for ${one.needs} is not installed`);
  }
  const costs = new Map(chosen.map((one) => [one, { create: [] as Cost[], apply: [] as Cost[] }]));
  // What everybody reads is in the cache from the first on.
  await runOk("cat", [pair.base, pair.target]).catch(() => undefined);
  for (let round = 0; round < rounds; round++) {
    const first = Math.floor((round * chosen.length) / rounds);
    for (const one of [...chosen.slice(first), ...chosen.slice(0, first)]) {
      if (one.isSlow && round > 0) continue;
      costs.get(one)?.create.push(await inTurn(one.create));
      costs.get(one)?.apply.push(await inTurn(one.apply));
      if (one.made !== undefined) await mustBe(one, one.made, pair.target);
    }
  }
  const figures = new Map<string, Figures>();
  for (const [one, { create, apply }] of costs) {
    figures.set(one.name, { size: await sizeOf(one), create: median(create), apply: median(apply) });
  }
  const [itself] = contenders({ base: pair.target, target: pair.target }, { changed: "", fresh: "" }, dir, bytes);
  await inTurn(itself!.create);
  const unchanged = await sizeOf(itself!);
  await rm(dir, { recursive: true });
  return { pair: name, bytes, unchanged, figures };
}

async function inTurn(steps: readonly Step[]): Promise<Cost> {
  const costs: Cost[] = [];
  for (const [program = "", ...args] of steps) costs.push(await measure(program, args));
  return inSequence(...costs);
}

async function mustBe({ name }: Contender, made: string, target: string): Promise<void> {
  await runOk("cmp", [made, target], { timeoutMs: 600_000 });
  if (!existsSync(made)) throw new Error(`${name} made nothing`);
  await rm(made);
}

async function sizeOf({ delta, gzips }: Contender): Promise<number> {
  if (gzips) {
    const { stdout } = await runOk("sh", ["-c", 'gzip -6 -n -c "$1" | wc -c', "sh", delta], { timeoutMs: 600_000 });
    return Number(stdout);
  }
  if (!statSync(delta).isDirectory()) return statSync(delta).size;
  return readdirSync(delta).reduce((sum, file) => sum + statSync(join(delta, file)).size, 0);
}

export const cpu = ({ user, system }: Cost): number => user + system;

function print({ pair, bytes, figures }: PairFigures, rounds: number): void {
  console.log(`\n${pair}: ${DESCRIPTIONS[pair]}; ${(bytes / 1e6).toFixed(1)} MB, medians of ${rounds} rounds`);
  const head = ["size MB", "of rdiff's", "create s", "CPU s", "RSS MiB", "apply s", "CPU s", "RSS MiB"];
  console.log([" ".repeat(22), ...head.map((title) => title.padStart(10))].join(" "));
  const peer = figures.get(BALENA)?.size ?? Number.NaN;
  for (const [name, { size, create, apply }] of figures) {
    const cells = [
      (size / 1e6).toFixed(3),
      (size / peer).toFixed(3),
      ...[create, apply].flatMap((cost) => [cost.wall.toFixed(2), cpu(cost).toFixed(2), cost.rss.toFixed(0)]),
    ];
    console.log([name.padEnd(22), ...cells.map((cell) => cell.padStart(10))].join(" "));
  }
}
