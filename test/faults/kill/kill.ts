/**
 * Part two: `kill -9` at random moments of pulls, unpacks, collections, removals, tags and commits. A moment is a step of the work, drawn
 * from as many as an undisturbed run takes.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import { runVarve } from "../../kit/peers/varve.ts";
import type { Case, CampaignOptions, CampaignResult } from "../lib/campaign.ts";
import { runCampaign } from "../lib/campaign.ts";
import { counts, megabytes, table } from "../lib/table.ts";
import { describeUnpacking, type Unpacking } from "../lib/unpacking.ts";
import { checkAftermath, type Aftermath } from "../steps/aftermath.ts";
import { OPERATIONS, takeTurns, type Operation } from "../steps/operations.ts";
import { drawMoment, type StepCounts } from "../steps/plan.ts";
import { runOperation, type Place } from "../steps/run-operation.ts";
import { referenceOf } from "../steps/scenes.ts";
import type { Scenes } from "../steps/scenes.ts";
import { tempDir } from "../../kit/temp-dir.ts";

export interface KillOptions extends CampaignOptions {
  readonly scenes: Scenes;
  readonly unpackings: readonly Unpacking[];
  readonly cases: number;
}

interface Row extends Aftermath {
  readonly operation: Operation;
  readonly unpacking: Unpacking;
  readonly killed: boolean;
}

/** Part of the cases in which snapshots are mounted and compared. */
const MOUNTING = 0.4;

export async function runKills(options: KillOptions): Promise<CampaignResult<Row> & { readonly report: string }> {
  const { scenes, seed, unpackings } = options;
  const rng = createRng(seed);
  const undisturbed = new Map<string, StepCounts>();
  const turns = takeTurns(OPERATIONS, unpackings, seed, options.cases);
  const cases: Case<Row>[] = turns.map(({ operation, unpacking }, id) => {
    const own = rng.fork();
    const title = `${operation.title}, ${describeUnpacking(unpacking)}`;
    const run = async (): Promise<Row> => {
      const steps = undisturbed.get(title) ?? (await measure(scenes, operation, unpacking));
      undisturbed.set(title, steps);
      return killOnce(scenes, operation, unpacking, steps, own);
    };
    return { id, title, run };
  });
  const result = await runCampaign(cases, options);
  return { ...result, report: reportOf(result.outcomes) };
}

/** How long the operation is when nothing happens to it. */
async function measure(scenes: Scenes, operation: Operation, unpacking: Unpacking): Promise<StepCounts> {
  await using dir = await tempDir("varve-kill-");
  const place = await prepare(scenes, operation, unpacking, dir.path);
  const { code, steps, said } = await runOperation(scenes, operation, unpacking, place);
  if (code !== 0 || steps === undefined) throw new Error(`${operation.title} fails undisturbed: ${said}`);
  return steps;
}

async function killOnce(
  scenes: Scenes,
  operation: Operation,
  unpacking: Unpacking,
  steps: StepCounts,
  rng: Rng,
): Promise<Row> {
  await using dir = await tempDir("varve-kill-");
  const place = await prepare(scenes, operation, unpacking, dir.path);
  const moment = drawMoment(steps, rng, { kind: "kill", tear: rng.int(1000) / 1000 });
  const mounting = rng.chance(MOUNTING);
  const { code, said } = await runOperation(scenes, operation, unpacking, place, moment);
  const killed = code === 137;
  const where = `${moment.of} ${moment.at} of ${steps[moment.of]}`;
  if (!killed && code !== 0) throw new Error(`${operation.title} ended with ${code} at ${where}: ${said}`);
  if (operation.command === "unpack") await mustUnpack(scenes, place);
  const aftermath = await checkAftermath({ scenes, operation, unpacking, mounting }, place.root).catch(
    (error: unknown) => {
      throw new Error(`killed at ${where}: ${(error as Error).message}`, { cause: error });
    },
  );
  return { ...aftermath, operation, unpacking, killed };
}

/** What a killed unpack left is for the user to remove; then the same command does it. */
async function mustUnpack(scenes: Scenes, { dir, root }: Place): Promise<void> {
  const tree = join(dir, "tree");
  await rm(tree, { recursive: true, force: true });
  const { code, stderr } = await runVarve(["unpack", referenceOf(scenes, scenes.first), tree], { root });
  if (code !== 0) throw new Error(`the unpack after it ended with ${code}: ${stderr}`);
}

async function prepare(scenes: Scenes, operation: Operation, { snapshotter }: Unpacking, dir: string): Promise<Place> {
  const root = join(dir, "store");
  await scenes.copy(operation.store, snapshotter, root);
  return { dir, root, outside: scenes.home };
}

function reportOf(rows: readonly Row[]): string {
  const head = [
    "killed",
    "runs",
    "unpacked by",
    "died",
    "effect there",
    "fetched MB after",
    "resumed MB",
    "fsck before",
  ];
  const lines = OPERATIONS.map((operation) => {
    const own = rows.filter((row) => row.operation === operation);
    const sum = (value: (row: Row) => number): number => own.reduce((total, row) => total + value(row), 0);
    return [
      operation.title,
      own.length,
      counts(own.map(({ unpacking }) => unpacking.snapshotter)),
      own.filter(({ killed }) => killed).length,
      own.filter(({ done }) => done).length,
      megabytes(sum(({ fetched }) => fetched)),
      megabytes(sum(({ resumed }) => resumed)),
      counts(own.flatMap(({ found }) => found)),
    ];
  });
  return table(head, lines);
}
