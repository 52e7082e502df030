/**
 * Part three: the power goes at a random step of each operation, on real file systems in files. What no fsync had asked for is lost
 * (see steps/power-cut.ts). Every fifth case loses power the moment after the program said that it was done: then the effect must be there.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import { runOk } from "../../kit/peers/run.ts";
import type { Case, CampaignOptions, CampaignResult } from "../lib/campaign.ts";
import { runCampaign } from "../lib/campaign.ts";
import { counts, megabytes, table } from "../lib/table.ts";
import { describeUnpacking, type Unpacking } from "../lib/unpacking.ts";
import { checkAftermath, type Aftermath } from "../steps/aftermath.ts";
import { OPERATIONS, takeTurns, type Operation } from "../steps/operations.ts";
import { drawMoment, type StepCounts } from "../steps/plan.ts";
import { powerCut } from "../steps/power-cut.ts";
import { runOperation, type Place } from "../steps/run-operation.ts";
import type { Scenes } from "../steps/scenes.ts";
import { FILE_SYSTEMS, makeFileSystem, missingFor, mountImage, type FileSystemKind } from "./loop-disk.ts";

export interface PowerOptions extends CampaignOptions {
  readonly dir: string;
  readonly scenes: Scenes;
  readonly unpackings: readonly Unpacking[];
  readonly cases: number;
}

interface Row extends Aftermath {
  readonly operation: Operation;
  readonly unpacking: Unpacking;
  readonly kind: FileSystemKind;
  readonly cut: "during" | "after";
}

/** Unpacks write no store; their trees are synced as a whole or not at all. */
const CUT = OPERATIONS.filter(({ command }) => command !== "unpack");
const AFTER_EVERY = 5;
/** Part of the cases in which snapshots are mounted and compared. */
const MOUNTING = 0.4;

export async function runPowerCuts(options: PowerOptions): Promise<CampaignResult<Row> & { readonly report: string }> {
  const { seed, log = () => {} } = options;
  const kinds = FILE_SYSTEMS.filter((kind) => {
    const missing = missingFor(kind);
    if (missing !== undefined) log(`power: without ${kind.name}: ${missing}`);
    return missing === undefined;
  });
  const rng = createRng(seed);
  const lab = new Lab(options);
  const turns = takeTurns(CUT, options.unpackings, seed, kinds.length === 0 ? 0 : options.cases);
  const cases: Case<Row>[] = turns.map(({ operation, unpacking }, id) => {
    const kind = kinds[Math.floor(id / CUT.length) % kinds.length]!;
    const own = rng.fork();
    const cut = id % AFTER_EVERY === AFTER_EVERY - 1 ? "after" : "during";
    const title = `${operation.title}, ${describeUnpacking(unpacking)}, on ${kind.name}, ${cut}`;
    return { id, title, run: () => lab.cut({ operation, unpacking, kind, cut }, own) };
  });
  const result = await runCampaign(cases, options);
  return { ...result, report: reportOf(result.outcomes) };
}

type Trial = Pick<Row, "operation" | "unpacking" | "kind" | "cut">;

class Lab {
  readonly #scenes: Scenes;
  readonly #dir: string;
  readonly #templates = new Map<string, Promise<string>>();
  readonly #steps = new Map<string, StepCounts>();
  #images = 0;

  constructor({ scenes, dir }: PowerOptions) {
    this.#scenes = scenes;
    this.#dir = join(dir, "power");
  }

  async cut(trial: Trial, rng: Rng): Promise<Row> {
    const { operation, unpacking, kind, cut } = trial;
    const [before, after] = [this.#newImage(), this.#newImage()];
    try {
      await runOk("cp", ["--sparse=always", await this.#template(trial), before]);
      const steps = await this.#stepsOf(trial);
      const mounting = rng.chance(MOUNTING);
      const where = await this.#losePower(trial, before, steps, rng);
      // Whoever else has got the mount into a namespace of his own keeps the dead file system alive: this one is another.
      await runOk("cp", ["--sparse=always", before, after]);
      await using mounted = await mountImage(kind, after, join(this.#dir, "mount"));
      const scene = { scenes: this.#scenes, operation, unpacking, mounting };
      const aftermath = await checkAftermath(scene, join(mounted.path, "store")).catch((error: unknown) => {
        throw new Error(`cut at ${where}: ${(error as Error).message}`, { cause: error });
      });
      if (cut === "after") mustBeThere(operation, aftermath);
      return { ...aftermath, ...trial };
    } finally {
      for (const image of [before, after]) await rm(image, { force: true });
    }
  }

  #newImage(): string {
    return join(this.#dir, `${this.#images++}.img`);
  }

  /** @returns where, for messages */
  async #losePower(
    { operation, unpacking, kind, cut }: Trial,
    image: string,
    steps: StepCounts,
    rng: Rng,
  ): Promise<string> {
    await using mounted = await mountImage(kind, image, join(this.#dir, "mount"));
    const logFlush = rng.chance(0.3);
    const act = { kind: "power", path: mounted.path, logFlush } as const;
    const moment = cut === "during" ? drawMoment(steps, rng, act) : undefined;
    const place = this.#placeIn(mounted.path);
    const { code, said } = await runOperation(this.#scenes, operation, unpacking, place, moment);
    // Not every run takes as many steps; one that was over before lost nothing.
    if (code !== 137 && code !== 0) throw new Error(`${operation.title} ended with ${code}: ${said}`);
    if (code === 0) powerCut(mounted.path, { logFlush: false });
    return code === 0 ? "the end" : `${moment?.of} ${moment?.at}, ${logFlush ? "names kept" : "nothing kept"}`;
  }

  /** A file system with the operation's store on it, cleanly unmounted. */
  #template({ operation: { store }, unpacking: { snapshotter }, kind }: Trial): Promise<string> {
    const key = `${store}-${snapshotter}-${FILE_SYSTEMS.indexOf(kind)}`;
    const make = async (): Promise<string> => {
      await mkdir(this.#dir, { recursive: true });
      const image = join(this.#dir, `${key}.img`);
      await makeFileSystem(kind, image);
      await using mounted = await mountImage(kind, image, join(this.#dir, "mount"));
      await this.#scenes.copy(store, snapshotter, join(mounted.path, "store"));
      // Unmounting does it only when nobody else has the mount in a namespace of his own.
      await runOk("sync", ["-f", mounted.path]);
      return image;
    };
    const made = this.#templates.get(key) ?? make();
    this.#templates.set(key, made);
    return made;
  }

  async #stepsOf(trial: Trial): Promise<StepCounts> {
    const { operation, unpacking, kind } = trial;
    const key = `${operation.title}, ${describeUnpacking(unpacking)}`;
    const known = this.#steps.get(key);
    if (known !== undefined) return known;
    const image = this.#newImage();
    await runOk("cp", ["--sparse=always", await this.#template(trial), image]);
    await using mounted = await mountImage(kind, image, join(this.#dir, "mount"));
    const { steps, said } = await runOperation(this.#scenes, operation, unpacking, this.#placeIn(mounted.path));
    if (steps === undefined) throw new Error(`${operation.title} fails undisturbed: ${said}`);
    this.#steps.set(key, steps);
    return steps;
  }

  #placeIn(path: string): Place {
    return { dir: path, root: join(path, "store"), outside: this.#scenes.home };
  }
}

/** What a program has said to be done is done. */
function mustBeThere({ title, command }: Operation, { done, found }: Aftermath): void {
  if (!done) throw new Error(`${title} was done, and after the power cut it was not`);
  if (command === "pull" && found.length > 0) throw new Error(`after ${title} fsck finds ${found.join(", ")}`);
}

function reportOf(rows: readonly Row[]): string {
  const head = [
    "power lost",
    "runs",
    "unpacked by",
    "effect there",
    "fetched MB after",
    "resumed MB",
    "fsck before mending",
  ];
  const groups = FILE_SYSTEMS.flatMap((kind) =>
    (["during", "after"] as const).flatMap((cut) => CUT.map((operation) => ({ kind, cut, operation }))),
  );
  const lines = groups.flatMap(({ kind, cut, operation }) => {
    const own = rows.filter((row) => row.kind === kind && row.cut === cut && row.operation === operation);
    const sum = (value: (row: Row) => number): number => own.reduce((total, row) => total + value(row), 0);
    const line = [
      `${kind.name}: ${cut} ${operation.title}`,
      own.length,
      counts(own.map(({ unpacking }) => unpacking.snapshotter)),
      own.filter(({ done }) => done).length,
      megabytes(sum(({ fetched }) => fetched)),
      megabytes(sum(({ resumed }) => resumed)),
      counts(own.flatMap(({ found }) => found)),
    ];
    return own.length === 0 ? [] : [line];
  });
  return table(head, lines);
}
