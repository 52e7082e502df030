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
import { checkAftermath, type Aftermath } from "../steps/aftermath.ts";
import { OPERATIONS, type Operation } from "../steps/operations.ts";
import { runOperation, type Place } from "../steps/run-operation.ts";
import type { Scenes } from "../steps/scenes.ts";

export interface DiskOptions extends CampaignOptions {
  readonly scenes: Scenes;
  readonly cases: number;
}

interface Row extends Aftermath {
  readonly operation: Operation;
  readonly error: string;
}

const SIZE = "48m";

export async function runFullDisks(options: DiskOptions): Promise<CampaignResult<Row> & { readonly report: string }> {
  const { scenes, seed, log = () => {} } = options;
  if (process.getuid?.() !== 0) {
    log("disk: left out: only root may mount");
    return { outcomes: [], failures: [], seconds: 0, report: "" };
  }
  const rng = createRng(seed);
  const steps = new Map<Operation, number>();
  const cases: Case<Row>[] = [];
  for (let id = 0; id < options.cases; id++) {
    const operation = OPERATIONS[id % OPERATIONS.length]!;
    const own = rng.fork();
    cases.push({ id, title: operation.title, run: () => fillOnce(scenes, operation, steps, own) });
  }
  const result = await runCampaign(cases, options);
  return { ...result, report: reportOf(result.outcomes) };
}

async function fillOnce(scenes: Scenes, operation: Operation, steps: Map<Operation, number>, rng: Rng): Promise<Row> {
  const count = steps.get(operation) ?? (await countSteps(scenes, operation));
  steps.set(operation, count);
  await using dir = await tempDir("varve-full-");
  using _mounted = mount(dir.path);
  const place = await prepare(scenes, operation, dir.path);
  const ballast = join(dir.path, "disk", "ballast");
  const slack = rng.pick([0, 0, 4096, 50_000, 500_000]);
  const moment = { at: rng.between(1, count), act: { kind: "fill", ballast, slack } } as const;
  const { code, error, said } = await runOperation(scenes, operation, place, moment);
  if (code !== 0 && (code !== 1 || error !== "NO_SPACE")) {
    throw new Error(`${operation.title} ended with ${code} ${error ?? ""} at step ${moment.at} of ${count}: ${said}`);
  }
  await rm(ballast, { force: true });
  await rm(join(place.dir, "tree"), { recursive: true, force: true });
  return { ...(await checkAftermath(scenes, operation, place.root)), operation, error: error ?? "-" };
}

async function countSteps(scenes: Scenes, operation: Operation): Promise<number> {
  await using dir = await tempDir("varve-full-");
  using _mounted = mount(dir.path);
  const { steps, said } = await runOperation(scenes, operation, await prepare(scenes, operation, dir.path));
  if (steps === undefined) throw new Error(`${operation.title} fails undisturbed: ${said}`);
  return steps;
}

function mount(dir: string): Disposable {
  const mounted = mountTmpfs(join(dir, "disk"), SIZE);
  if (mounted === undefined) throw new Error("root may not mount here");
  return mounted;
}

async function prepare(scenes: Scenes, operation: Operation, dir: string): Promise<Place> {
  const disk = join(dir, "disk");
  await mkdir(disk, { recursive: true });
  await scenes.copy(operation.store, join(disk, "store"));
  return { dir: disk, root: join(disk, "store"), outside: scenes.home };
}

function reportOf(rows: readonly Row[]): string {
  const head = [
    "full disk",
    "runs",
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
      counts(own.map(({ error }) => (error === "-" ? "success" : error))),
      own.filter(({ done }) => done).length,
      megabytes(sum(({ fetched }) => fetched)),
      megabytes(sum(({ resumed }) => resumed)),
      counts(own.flatMap(({ found }) => found)),
    ];
  });
  return table(head, lines);
}
