/**
 * Part three: the power goes at a random step of each operation, on real file systems in files. What no fsync had asked for is lost
 * (see steps/power-cut.ts). Every seventh case loses power the moment after the program said that it was done: then the effect must be there.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import { runOk } from "../../kit/peers/run.ts";
import type { Case, CampaignOptions, CampaignResult } from "../lib/campaign.ts";
import { runCampaign } from "../lib/campaign.ts";
import { counts, megabytes, table } from "../lib/table.ts";
import { checkAftermath, type Aftermath } from "../steps/aftermath.ts";
import { OPERATIONS, type Operation } from "../steps/operations.ts";
import { powerCut } from "../steps/power-cut.ts";
import { runOperation, type Place } from "../steps/run-operation.ts";
import type { Scenes } from "../steps/scenes.ts";
import { FILE_SYSTEMS, makeFileSystem, missingFor, mountImage, type FileSystemKind } from "./loop-disk.ts";

export interface PowerOptions extends CampaignOptions {
  readonly dir: string;
  readonly scenes: Scenes;
  readonly cases: number;
}

interface Row extends Aftermath {
  readonly operation: Operation;
  readonly kind: FileSystemKind;
  readonly cut: "during" | "after";
}

/** Unpacks write no store; their trees are synced as a whole or not at all. */
const CUT = OPERATIONS.filter(({ command }) => command !== "unpack");
const AFTER_EVERY = 7;

export async function runPowerCuts(options: PowerOptions): Promise<CampaignResult<Row> & { readonly report: string }> {
  const { seed, log = () => {} } = options;
  const kinds = FILE_SYSTEMS.filter((kind) => {
    const missing = missingFor(kind);
    if (missing !== undefined) log(`power: without ${kind.name}: ${missing}`);
    return missing === undefined;
  });
  const rng = createRng(seed);
  const lab = new Lab(options);
  const cases: Case<Row>[] = [];
  for (let id = 0; id < options.cases && kinds.length > 0; id++) {
    const operation = CUT[id % CUT.length]!;
    const kind = kinds[Math.floor(id / CUT.length) % kinds.length]!;
    const own = rng.fork();
    const cut = id % AFTER_EVERY === AFTER_EVERY - 1 ? "after" : "during";
    cases.push({
      id,
      title: `${operation.title} on ${kind.name}, ${cut}`,
      run: () => lab.cut(operation, kind, cut, own),
    });
  }
  const result = await runCampaign(cases, options);
  return { ...result, report: reportOf(result.outcomes) };
}

class Lab {
  readonly #scenes: Scenes;
  readonly #dir: string;
  readonly #templates = new Map<string, Promise<string>>();
  readonly #steps = new Map<Operation, number>();

  constructor({ scenes, dir }: PowerOptions) {
    this.#scenes = scenes;
    this.#dir = join(dir, "power");
  }

  async cut(operation: Operation, kind: FileSystemKind, cut: Row["cut"], rng: Rng): Promise<Row> {
    const image = join(this.#dir, "case.img");
    await runOk("cp", ["--sparse=always", await this.#template(operation, kind), image]);
    try {
      const steps = await this.#stepsOf(operation, kind);
      await this.#losePower(operation, kind, image, cut, steps, rng);
      await using mounted = await mountImage(kind, image, join(this.#dir, "mount"));
      const aftermath = await checkAftermath(this.#scenes, operation, join(mounted.path, "store"));
      if (cut === "after") mustBeThere(operation, aftermath);
      return { ...aftermath, operation, kind, cut };
    } finally {
      await rm(image, { force: true });
    }
  }

  async #losePower(
    operation: Operation,
    kind: FileSystemKind,
    image: string,
    cut: Row["cut"],
    steps: number,
    rng: Rng,
  ): Promise<void> {
    await using mounted = await mountImage(kind, image, join(this.#dir, "mount"));
    const logFlush = rng.chance(0.3);
    const act = { kind: "power", path: mounted.path, logFlush } as const;
    const moment = cut === "during" ? { at: rng.between(1, steps), act } : undefined;
    const { code, said } = await runOperation(this.#scenes, operation, this.#placeIn(mounted.path), moment);
    // Not every run takes as many steps; one that was over before lost nothing.
    if (code !== 137 && code !== 0) throw new Error(`${operation.title} ended with ${code}: ${said}`);
    if (code === 0) powerCut(mounted.path, { logFlush: false });
  }

  /** A file system with the operation's store on it, cleanly unmounted. */
  #template({ store }: Operation, kind: FileSystemKind): Promise<string> {
    const key = `${store}-${FILE_SYSTEMS.indexOf(kind)}`;
    const make = async (): Promise<string> => {
      await mkdir(this.#dir, { recursive: true });
      const image = join(this.#dir, `${key}.img`);
      await makeFileSystem(kind, image);
      await using mounted = await mountImage(kind, image, join(this.#dir, "mount"));
      await this.#scenes.copy(store, join(mounted.path, "store"));
      return image;
    };
    const made = this.#templates.get(key) ?? make();
    this.#templates.set(key, made);
    return made;
  }

  async #stepsOf(operation: Operation, kind: FileSystemKind): Promise<number> {
    const known = this.#steps.get(operation);
    if (known !== undefined) return known;
    const image = join(this.#dir, "measure.img");
    await runOk("cp", ["--sparse=always", await this.#template(operation, kind), image]);
    await using mounted = await mountImage(kind, image, join(this.#dir, "mount"));
    const { steps, said } = await runOperation(this.#scenes, operation, this.#placeIn(mounted.path));
    if (steps === undefined) throw new Error(`${operation.title} fails undisturbed: ${said}`);
    this.#steps.set(operation, steps);
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
  const head = ["power lost", "runs", "effect there", "fetched MB after", "resumed MB", "fsck before mending"];
  const groups = FILE_SYSTEMS.flatMap((kind) =>
    (["during", "after"] as const).flatMap((cut) => CUT.map((operation) => ({ kind, cut, operation }))),
  );
  const lines = groups.flatMap(({ kind, cut, operation }) => {
    const own = rows.filter((row) => row.kind === kind && row.cut === cut && row.operation === operation);
    const sum = (value: (row: Row) => number): number => own.reduce((total, row) => total + value(row), 0);
    const line = [
      `${kind.name}: ${cut} ${operation.title}`,
      own.length,
      own.filter(({ done }) => done).length,
      megabytes(sum(({ fetched }) => fetched)),
      megabytes(sum(({ resumed }) => resumed)),
      counts(own.flatMap(({ found }) => found)),
    ];
    return own.length === 0 ? [] : [line];
  });
  return table(head, lines);
}
