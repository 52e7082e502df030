/**
 * Part two: `kill -9` at random moments of pulls, unpacks, collections, removals and tags. A moment is a step of the work, drawn from as
 * many as an undisturbed run takes; of unpacks, whose work is native calls, a number of files, drawn from as many as one makes.
 */
import { existsSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import { runVarve } from "../../kit/peers/varve.ts";
import type { Case, CampaignOptions, CampaignResult } from "../lib/campaign.ts";
import { runCampaign } from "../lib/campaign.ts";
import { counts, megabytes, table } from "../lib/table.ts";
import { checkAftermath, type Aftermath } from "../steps/aftermath.ts";
import { OPERATIONS, type Operation } from "../steps/operations.ts";
import { killOperation, runOperation, type Place } from "../steps/run-operation.ts";
import { referenceOf } from "../steps/scenes.ts";
import type { Scenes } from "../steps/scenes.ts";
import { tempDir } from "../../kit/temp-dir.ts";

export interface KillOptions extends CampaignOptions {
  readonly scenes: Scenes;
  readonly cases: number;
}

interface Row extends Aftermath {
  readonly operation: Operation;
  readonly killed: boolean;
}

export async function runKills(options: KillOptions): Promise<CampaignResult<Row> & { readonly report: string }> {
  const { scenes, seed } = options;
  const rng = createRng(seed);
  const undisturbed = new Map<Operation, Measure>();
  const cases: Case<Row>[] = [];
  for (let id = 0; id < options.cases; id++) {
    const operation = OPERATIONS[id % OPERATIONS.length]!;
    const own = rng.fork();
    const run = async (): Promise<Row> => {
      const measured = undisturbed.get(operation) ?? (await measure(scenes, operation));
      undisturbed.set(operation, measured);
      return killOnce(scenes, operation, measured, own);
    };
    cases.push({ id, title: operation.title, run });
  }
  const result = await runCampaign(cases, options);
  return { ...result, report: reportOf(result.outcomes) };
}

interface Measure {
  readonly steps: number;
  /** Members of the unpacked tree. */
  readonly files: number;
}

/** How long the operation is when nothing happens to it. */
async function measure(scenes: Scenes, operation: Operation): Promise<Measure> {
  await using dir = await tempDir("varve-kill-");
  const place = await prepare(scenes, operation, dir.path);
  const { code, steps, said } = await runOperation(scenes, operation, place);
  if (code !== 0 || steps === undefined) throw new Error(`${operation.title} fails undisturbed: ${said}`);
  return { steps, files: countFiles(join(dir.path, "tree")) };
}

function countFiles(tree: string): number {
  return existsSync(tree) ? readdirSync(tree, { recursive: true }).length : 0;
}

async function killOnce(scenes: Scenes, operation: Operation, { steps, files }: Measure, rng: Rng): Promise<Row> {
  await using dir = await tempDir("varve-kill-");
  const place = await prepare(scenes, operation, dir.path);
  let killed: boolean;
  if (operation.command === "unpack") {
    const enough = rng.between(0, files - 1);
    const isFarEnough = (): boolean => countFiles(join(place.dir, "tree")) > enough;
    ({ killed } = await killOperation(scenes, operation, place, isFarEnough));
    await mustUnpack(scenes, place);
  } else {
    const act = { kind: "kill", tear: rng.int(1000) / 1000 } as const;
    const { code, said } = await runOperation(scenes, operation, place, { at: rng.between(1, steps), act });
    killed = code === 137;
    if (!killed && code !== 0) throw new Error(`${operation.title} ended with ${code}: ${said}`);
  }
  return { ...(await checkAftermath(scenes, operation, place.root)), operation, killed };
}

/** What a killed unpack left is for the user to remove; then the same command does it. */
async function mustUnpack(scenes: Scenes, { dir, root }: Place): Promise<void> {
  const tree = join(dir, "tree");
  await rm(tree, { recursive: true, force: true });
  const { code, stderr } = await runVarve(["unpack", referenceOf(scenes, scenes.first), tree], { root });
  if (code !== 0) throw new Error(`the unpack after it ended with ${code}: ${stderr}`);
}

async function prepare(scenes: Scenes, operation: Operation, dir: string): Promise<Place> {
  const root = join(dir, "store");
  await scenes.copy(operation.store, root);
  return { dir, root, outside: scenes.home };
}

function reportOf(rows: readonly Row[]): string {
  const head = ["killed", "runs", "died", "effect there", "fetched MB after", "resumed MB", "fsck before mending"];
  const lines = OPERATIONS.map((operation) => {
    const own = rows.filter((row) => row.operation === operation);
    const sum = (value: (row: Row) => number): number => own.reduce((total, row) => total + value(row), 0);
    return [
      operation.title,
      own.length,
      own.filter(({ killed }) => killed).length,
      own.filter(({ done }) => done).length,
      megabytes(sum(({ fetched }) => fetched)),
      megabytes(sum(({ resumed }) => resumed)),
      counts(own.flatMap(({ found }) => found)),
    ];
  });
  return table(head, lines);
}
