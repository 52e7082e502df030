/**
 * Part four: the disk is full from a random step on. The program fails with `NO_SPACE` and exit code 1, or gets through with what is
 * left; nothing is damaged; and when there is room again the next pull goes on.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import { mountTmpfs } from "../../e2e/tmpfs.ts";
import { tempDir } from "../../kit/temp-dir.ts";
import type { Case, CampaignOptions, CampaignResult } from "../lib/campaign.ts";
import { runCampaign } from "../lib/campaign.ts";
import { counts, megabytes, table } from "../lib/table.ts";
import { describeUnpacking, type Unpacking } from "../lib/unpacking.ts";
import { checkAftermath, type Aftermath } from "../steps/aftermath.ts";
import { OPERATIONS, takeTurns, type Operation } from "../steps/operations.ts";
import { drawMoment, type StepCounts } from "../steps/plan.ts";
import { runOperation, type Place } from "../steps/run-operation.ts";
import type { Scenes } from "../steps/scenes.ts";

export interface DiskOptions extends CampaignOptions {
  readonly scenes: Scenes;
  readonly unpackings: readonly Unpacking[];
  readonly cases: number;
}

interface Row extends Aftermath {
  readonly operation: Operation;
  readonly unpacking: Unpacking;
  readonly error: string;
}

const SIZE = "64m";
/** Part of the cases in which snapshots are mounted and compared. */
const MOUNTING = 0.4;

export async function runFullDisks(options: DiskOptions): Promise<CampaignResult<Row> & { readonly report: string }> {
  const { scenes, seed, log = () => {} } = options;
  if (process.getuid?.() !== 0) {
    log("disk: left out: only root may mount");
    return { outcomes: [], failures: [], seconds: 0, report: "" };
  }
  const rng = createRng(seed);
  const steps = new Map<string, StepCounts>();
  const turns = takeTurns(OPERATIONS, options.unpackings, seed, options.cases);
  const cases: Case<Row>[] = turns.map(({ operation, unpacking }, id) => {
    const own = rng.fork();
    const title = `${operation.title}, ${describeUnpacking(unpacking)}`;
    const run = async (): Promise<Row> => {
      const count = steps.get(title) ?? (await countSteps(scenes, operation, unpacking));
      steps.set(title, count);
      return fillOnce(scenes, operation, unpacking, count, own);
    };
    return { id, title, run };
  });
  const result = await runCampaign(cases, options);
  return { ...result, report: reportOf(result.outcomes) };
}

async function fillOnce(
  scenes: Scenes,
  operation: Operation,
  unpacking: Unpacking,
  count: StepCounts,
  rng: Rng,
): Promise<Row> {
  await using dir = await tempDir("varve-full-");
  using _mounted = mount(dir.path);
  const place = await prepare(scenes, operation, unpacking, dir.path);
  const ballast = join(dir.path, "disk", "ballast");
  const slack = rng.pick([0, 0, 4096, 50_000, 500_000]);
  const moment = drawMoment(count, rng, { kind: "fill", ballast, slack });
  const mounting = rng.chance(MOUNTING);
  const { code, error, said } = await runOperation(scenes, operation, unpacking, place, moment);
  const where = `${moment.of} ${moment.at} of ${count[moment.of]}`;
  if (code !== 0 && (code !== 1 || error !== "NO_SPACE")) {
    throw new Error(`${operation.title} ended with ${code} ${error ?? ""} at ${where}: ${said}`);
  }
  await rm(ballast, { force: true });
  await rm(join(place.dir, "tree"), { recursive: true, force: true });
  const scene = { scenes, operation, unpacking, mounting };
  const aftermath = await checkAftermath(scene, place.root).catch((thrown: unknown) => {
    throw new Error(`full at ${where}: ${(thrown as Error).message}`, { cause: thrown });
  });
  return { ...aftermath, operation, unpacking, error: error ?? "-" };
}

async function countSteps(scenes: Scenes, operation: Operation, unpacking: Unpacking): Promise<StepCounts> {
  await using dir = await tempDir("varve-full-");
  using _mounted = mount(dir.path);
  const place = await prepare(scenes, operation, unpacking, dir.path);
  const { steps, said } = await runOperation(scenes, operation, unpacking, place);
  if (steps === undefined) throw new Error(`${operation.title} fails undisturbed: ${said}`);
  return steps;
}

function mount(dir: string): Disposable {
  const mounted = mountTmpfs(join(dir, "disk"), SIZE);
  if (mounted === undefined) throw new Error("root may not mount here");
  return mounted;
}

async function prepare(scenes: Scenes, operation: Operation, { snapshotter }: Unpacking, dir: string): Promise<Place> {
  const disk = join(dir, "disk");
  await mkdir(disk, { recursive: true });
  await scenes.copy(operation.store, snapshotter, join(disk, "store"));
  return { dir: disk, root: join(disk, "store"), outside: scenes.home };
}

function reportOf(rows: readonly Row[]): string {
  const head = [
    "full disk",
    "runs",
    "unpacked by",
    "ended in",
    "effect there",
    "fetched MB after",
    "resumed MB",
    "fsck before mending",
  ];
  const lines = OPERATIONS.map((operation) => {
    const own = rows.filter((row) => row.operation === operation);
    const sum = (value: (row: Row) => number): number => own.reduce((total, row) => total + value(row), 0);
    return [
      operation.title,
      own.length,
      counts(own.map(({ unpacking }) => unpacking.snapshotter)),
      counts(own.map(({ error }) => (error === "-" ? "success" : error))),
      own.filter(({ done }) => done).length,
      megabytes(sum(({ fetched }) => fetched)),
      megabytes(sum(({ resumed }) => resumed)),
      counts(own.flatMap(({ found }) => found)),
    ];
  });
  return table(head, lines);
}
