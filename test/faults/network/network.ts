/** Part one: a pull of a real image through hundreds of schedules of faults, scripted and random. */
import { join } from "node:path";
import { createRng } from "../../kit/images/rng.ts";
import { startRegistry } from "../../kit/registry/registry.ts";
import type { Case, CampaignOptions, CampaignResult } from "../lib/campaign.ts";
import { runCampaign } from "../lib/campaign.ts";
import { publishDeltas } from "../lib/delta-images.ts";
import { publishMachines } from "../lib/machine-images.ts";
import { publish, type PublishedImage } from "../lib/published-image.ts";
import { buildRealImage } from "../lib/real-image.ts";
import { counts, megabytes, table } from "../lib/table.ts";
import { describeUnpacking, type Unpacking } from "../lib/unpacking.ts";
import { publishUpdate } from "../lib/update-images.ts";
import { openAt } from "../steps/scenes.ts";
import { deltaSchedules, randomDelta } from "./deltas.ts";
import { machineSchedules } from "./machines.ts";
import { randomSchedule } from "./random.ts";
import { runSchedule, type ScheduleOutcome } from "./run-schedule.ts";
import type { Schedule } from "./schedule.ts";
import { rangeSchedules, scriptedSchedules } from "./scripted.ts";
import { randomUpdate, updateSchedules } from "./update.ts";

export interface NetworkOptions extends CampaignOptions {
  /** Where the registry keeps the images. */
  readonly dir: string;
  /** Compressed bytes of the large image. */
  readonly largeBytes: number;
  /** Every so many of the scripted schedules only. Default 1: all. */
  readonly every?: number;
  readonly unpackings: readonly Unpacking[];
  readonly random: {
    readonly small: number;
    readonly updates: number;
    readonly machines: number;
    readonly deltas: number;
    readonly ranges: number;
    readonly large: number;
  };
}

const SMALL_BYTES = 5_000_000;
/** Just large enough that its largest layer comes in ranges when connections are free. */
const RANGED_BYTES = 100_000_000;
/** Of the layer that is made of pieces. */
const UPDATE_BYTES = 2_000_000;
const MACHINE_MEGABYTES = 10;
/** Every so many of the schedules for ranges are run on the large image as well. */
const LARGE_EVERY = 3;
/** Every so many of the pulls are mounted and compared entry by entry. */
const MOUNTING_EVERY = 3;

interface Row extends ScheduleOutcome {
  readonly kind: string;
  readonly unpacking: Unpacking;
}

export async function runNetwork(options: NetworkOptions): Promise<CampaignResult<Row> & { readonly report: string }> {
  const { dir, largeBytes, seed, random, unpackings, every = 1, log = () => {} } = options;
  await using registry = await startRegistry({ dir: join(dir, "registry") });
  const small = await make("small", { seed: seed + 1, bytes: SMALL_BYTES });
  const ranged =
    random.ranges > 0 ? await make("ranged", { seed: seed + 2, bytes: RANGED_BYTES, largest: 0.75 }) : small;
  const large = random.large > 0 ? await make("large", { seed: seed + 3, bytes: largeBytes }) : small;

  await using making = await openAt(join(dir, "network-making"));
  const machines = await publishMachines(making, registry.host, dir, MACHINE_MEGABYTES, seed + 5);
  const deltas = await publishDeltas(making, registry.host, "real/delta", UPDATE_BYTES, seed + 7);
  const update = await publishUpdate(registry.host, "real/update", UPDATE_BYTES, seed + 4);

  async function make(name: string, shape: Parameters<typeof buildRealImage>[0]): Promise<PublishedImage> {
    const built = await buildRealImage(shape);
    const image = await publish(registry.host, `real/${name}`, "1", built, built.members);
    log(`${name} image: ${image.layers.length} layers, ${megabytes(image.bytes)} MB`);
    return image;
  }

  const cases: Case<Row>[] = [];
  const drivers = unpackings.filter(({ snapshotter }) => snapshotter !== "none");
  const add = (kind: string, schedule: Schedule, isUnpacked = false): void => {
    const id = cases.length;
    const fit = isUnpacked && drivers.length > 0 ? drivers : unpackings;
    const unpacking = fit[(id + seed) % fit.length]!;
    const mounting = id % MOUNTING_EVERY === 0;
    const run = async (): Promise<Row> => {
      return { ...(await runSchedule(schedule, registry.host, { unpacking, mounting })), kind, unpacking };
    };
    cases.push({ id, title: `${kind}: ${schedule.title}; ${describeUnpacking(unpacking)}`, run });
  };
  const addRandom = (kind: string, image: PublishedImage, count: number, rng = createRng(seed)): void => {
    for (let number = 0; number < count; number++) add(kind, randomSchedule(image, rng.int(2 ** 31)));
  };
  const scripted = scriptedSchedules(small);
  for (const schedule of scripted.filter((_, index) => index % every === 0)) add("scripted, small", schedule);
  addRandom("random, small", small, random.small, createRng(seed));
  const updates = updateSchedules(update);
  for (const schedule of updates.filter((_, index) => index % every === 0)) add("scripted, update", schedule);
  const draws = createRng(seed + 3);
  for (let number = 0; number < random.updates; number++)
    add("random, update", randomUpdate(update, draws.int(2 ** 31)));
  const ofDeltas = deltaSchedules(deltas);
  for (const schedule of ofDeltas.filter((_, index) => index % every === 0)) add("scripted, delta", schedule, true);
  const lots = createRng(seed + 8);
  for (let number = 0; number < random.deltas; number++)
    add("random, delta", randomDelta(deltas, lots.int(2 ** 31)), true);
  const ofMachines = machineSchedules(machines);
  for (const schedule of ofMachines.filter((_, index) => index % every === 0)) add("scripted, disk", schedule);
  const chances = createRng(seed + 6);
  for (let number = 0; number < random.machines; number++) {
    const { machine, machineUpdate } = machines;
    const drawn = randomSchedule(number % 2 === 0 ? machine : machineUpdate, chances.int(2 ** 31));
    add("random, disk", number % 2 === 0 ? drawn : { ...drawn, held: machine });
  }
  if (random.ranges > 0) {
    for (const schedule of rangeSchedules(ranged)) add("scripted, ranged", schedule);
    addRandom("random, ranged", ranged, random.ranges, createRng(seed + 1));
  }
  if (random.large > 0) {
    const ranges = rangeSchedules(large).filter((_, index) => index % LARGE_EVERY === 0);
    for (const schedule of ranges) add("scripted, large", schedule);
    addRandom("random, large", large, random.large, createRng(seed + 2));
  }
  const result = await runCampaign(cases, options);
  return { ...result, report: reportOf(result.outcomes) };
}

function reportOf(outcomes: readonly Row[]): string {
  const kinds = [...new Set(outcomes.map(({ kind }) => kind))];
  const head = ["schedules", "runs", "image", "errors", "faults", "image MB", "carried MB", "ratio", "fetched ratio"];
  const rows = [...kinds, "all"].map((kind) =>
    rowOf(
      kind,
      outcomes.filter((row) => kind === "all" || row.kind === kind),
    ),
  );
  const errors = counts(outcomes.flatMap(({ code }) => code ?? []));
  const faults = counts(outcomes.flatMap(({ strikes }) => strikes));
  const by = counts(outcomes.map(({ unpacking }) => describeUnpacking(unpacking)));
  return `${table(head, rows)}\nerrors: ${errors}\nfaults: ${faults}\nunpacked by: ${by}`;
}

function rowOf(name: string, rows: readonly Row[]): (string | number)[] {
  const sum = (value: (row: Row) => number): number => rows.reduce((total, row) => total + value(row), 0);
  const arrived = rows.filter(({ code }) => code === undefined);
  const due = sum(({ imageBytes }) => imageBytes);
  const carried = sum((row) => row.carried);
  const fetched = arrived.reduce((total, row) => total + (row.fetched ?? 0), 0);
  const wanted = arrived.reduce((total, { imageBytes }) => total + imageBytes, 0);
  return [
    name,
    rows.length,
    arrived.length,
    rows.length - arrived.length,
    sum(({ strikes }) => strikes.length),
    megabytes(due),
    megabytes(carried),
    (carried / due).toFixed(3),
    (fetched / wanted).toFixed(3),
  ];
}
