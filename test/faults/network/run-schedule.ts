/**
 * Pulls an image through a schedule of faults and holds the outcome to what was promised: the image, exactly, or an error of the right
 * code; no more bytes than the image and what the faults may cost; what was reported as done is kept; and a next pull, over a good
 * line, ends in the image.
 */
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import {
  isVarveError,
  openVarve,
  pull,
  type ErrorCode,
  type ProgressEvent,
  type PullResult,
  type Varve,
} from "../../../src/index.ts";
import { startFaultProxy, type FaultProxy } from "../../kit/faults/fault-proxy.ts";
import { fakeClock } from "../../kit/http/fake-clock.ts";
import { NO_HOME } from "../../kit/http/test-client.ts";
import { tempDir } from "../../kit/temp-dir.ts";
import { imageFaults, machineFaults, soundnessFaults } from "../lib/judge.ts";
import { bytesLeft, CHUNK_BYTES } from "../lib/machine-images.ts";
import type { MachineFacts } from "../lib/published-image.ts";
import type { Unpacking } from "../lib/unpacking.ts";
import { mayCost, refusesRanges, spoils, type Schedule } from "./schedule.ts";

/** The store's: bytes between two checkpoints. */
const CHECKPOINT_BYTES = 64 << 20;
/** Of the image, beyond what the faults may cost. */
const OVERHEAD = 0.05;

export interface ScheduleOutcome {
  /** Undefined when the image arrived. */
  readonly code: ErrorCode | undefined;
  readonly strikes: readonly string[];
  /** Body bytes that the line carried until the image was there, over both pulls when the first one failed. */
  readonly carried: number;
  /** Body bytes that the pull reports, when it ended well. */
  readonly fetched: number | undefined;
  readonly imageBytes: number;
}

export interface ScheduleOptions {
  readonly unpacking: Unpacking;
  /** Whether what it was unpacked into is mounted and compared entry by entry. */
  readonly mounting: boolean;
}

export async function runSchedule(
  schedule: Schedule,
  registryHost: string,
  options: ScheduleOptions,
): Promise<ScheduleOutcome> {
  await using dir = await tempDir("varve-schedule-");
  const { rules, seed, image } = schedule;
  await using proxy = await startFaultProxy({ target: registryHost, rules, seed });
  const trial = new Trial(schedule, options, proxy, join(dir.path, "store"));
  try {
    await trial.prepare(registryHost);
    return await trial.run();
  } catch (error) {
    const told = trial.result === undefined ? "" : `\n${JSON.stringify(trial.result)}`;
    throw new Error(`${(error as Error).message}\n${image.name}: ${proxy.describe()}${told}`, { cause: error });
  }
}

class Trial {
  readonly #schedule: Schedule;
  readonly #options: ScheduleOptions;
  readonly #proxy: FaultProxy;
  readonly #root: string;
  readonly #reported = new Map<string, number>();
  result: PullResult | undefined;

  constructor(schedule: Schedule, options: ScheduleOptions, proxy: FaultProxy, root: string) {
    this.#schedule = schedule;
    this.#options = options;
    this.#proxy = proxy;
    this.#root = root;
  }

  async prepare(registryHost: string): Promise<void> {
    const { held } = this.#schedule;
    if (held === undefined) return;
    await using varve = await this.#open();
    await pull(varve, `${registryHost}/${held.name}:${held.tag}`);
  }

  async run(): Promise<ScheduleOutcome> {
    const { mayArrive, codes, image } = this.#schedule;
    const code = await this.#pull();
    const strikes = this.#proxy.strikes.map(({ fault }) => fault.kind);
    if (code === undefined && !mayArrive) throw new Error(`the image arrived instead of ${codes.join(", ")}`);
    const fetched = this.result?.bytes.network;
    if (code === undefined) this.#mustBeCheap(fetched ?? 0, this.#cost());
    else await this.#mustGoOn(code);
    const carried = this.#proxy.bytesFor(/\/(blobs|manifests)\//);
    // The line may have carried more than was read: what lay in sockets when a request was given up.
    const allowed = (strikes.length + (code === undefined ? 0 : 1)) * CHECKPOINT_BYTES;
    if (carried > image.bytes * (1 + OVERHEAD) + allowed) {
      throw new Error(`${carried} bytes were carried for ${image.bytes}, with ${strikes.length} faults`);
    }
    return { code, strikes, carried, fetched: code === undefined ? fetched : undefined, imageBytes: image.bytes };
  }

  /** @returns the error's code, when there was one */
  async #pull(): Promise<ErrorCode | undefined> {
    const { image, concurrency } = this.#schedule;
    await using varve = await this.#open();
    try {
      const result = await pull(varve, `${this.#proxy.host}/${image.name}:${image.tag}`, { concurrency });
      this.result = result;
      const judged = image.machine === undefined ? imageFaults : machineFaults;
      mustBeNothing(await judged(varve, image, result, this.#options));
      return undefined;
    } catch (error) {
      if (!isVarveError(error)) throw error;
      mustBeNothing(await soundnessFaults(varve, this.#options.mounting ? image.trees : undefined));
      return error.code;
    }
  }

  /** After an error: it is one of the right ones, what was reported as done is there, and the next pull ends in the image. */
  async #mustGoOn(code: ErrorCode): Promise<void> {
    if (!this.#schedule.codes.includes(code)) {
      throw new Error(`it ended in ${code}, not in ${["the image", ...this.#schedule.codes].join(" or ")}`);
    }
    const reported = new Map(this.#reported);
    this.#proxy.setRules([]);
    if (code !== "DIGEST_MISMATCH" && code !== "SIZE_MISMATCH") await this.#mustBeKept(reported);
    const second = await this.#pull();
    if (second !== undefined) throw new Error(`the pull after the faults ended in ${second}`);
  }

  async #mustBeKept(reported: ReadonlyMap<string, number>): Promise<void> {
    const spoilt = new Set(
      this.#proxy.strikes.filter(({ fault }) => spoils(fault)).map((strike) => this.#blobOf(strike)),
    );
    await using varve = await this.#open();
    const { machine } = this.#schedule.image;
    if (machine !== undefined) return mustHaveLeft(varve, machine, reported.get(machine.key) ?? 0, spoilt.size);
    const { content, layers } = varve.store;
    for (const { digest, diffId, size } of this.#schedule.image.layers) {
      if (spoilt.has(digest) || (await layers.get(digest))?.discardedAt !== undefined) continue;
      const done = reported.get(digest) ?? 0;
      // What is made of pieces is the layer's tar.
      const ranges = [...(await content.partial(digest)), ...(await content.partial(diffId))];
      const whole = (await content.stat(digest))?.size === size;
      const kept = whole ? size : ranges.reduce((sum, { start, end }) => sum + end - start, 0);
      if (kept < done) throw new Error(`of layer ${digest} ${done} bytes were there, and ${kept} are kept`);
    }
  }

  #mustBeCheap(fetched: number, cost: number): void {
    const { bytes } = this.#schedule.image;
    if (fetched <= bytes * (1 + OVERHEAD) + cost) return;
    throw new Error(`${fetched} bytes were fetched for ${bytes}; the faults may cost ${cost}`);
  }

  /** What the faults that struck may have cost at most. */
  #cost(): number {
    const { layers, deltas = [] } = this.#schedule.image;
    const sizes = new Map<string, number>([...layers, ...deltas].map(({ digest, size }) => [digest, size]));
    const { strikes } = this.#proxy;
    const streamed = new Set(strikes.filter(({ fault }) => refusesRanges(fault)).map((strike) => this.#blobOf(strike)));
    return strikes.reduce((sum, strike) => {
      const blob = this.#blobOf(strike);
      const size = sizes.get(blob) ?? 0;
      return sum + (streamed.has(blob) ? size : mayCost(strike.fault, size));
    }, 0);
  }

  /** The digest at the end of the path that was asked for. */
  #blobOf({ request }: { readonly request: number }): string {
    return this.#proxy.requests[request]?.path.split("/").at(-1) ?? "";
  }

  #open(): Promise<Varve> {
    this.#reported.clear();
    return openVarve({
      root: this.#root,
      threads: this.#schedule.threads,
      snapshotter: this.#options.unpacking.snapshotter,
      unpackJobs: this.#options.unpacking.jobs,
      store: { sync: this.#schedule.threads > 0 },
      registry: {
        registriesConf: false,
        env: NO_HOME,
        clock: busyClock(),
        timeouts: { idleBodyMs: 700, headersMs: 10_000, connectMs: 10_000 },
      },
      onProgress: (event: ProgressEvent) => {
        if (event.type === "progress") this.#reported.set(event.digest, event.done);
        // Another way to the same layer begins with what it has.
        else if (event.type === "layer-start") this.#reported.set(event.digest, event.resumed);
      },
    });
  }
}

/** A disk is gone on with where it was left, but for chunks that came wrong. */
async function mustHaveLeft(varve: Varve, machine: MachineFacts, done: number, spoilt: number): Promise<void> {
  const left = await bytesLeft(varve, machine);
  if (left >= done - spoilt * CHUNK_BYTES) return;
  throw new Error(`of the disk ${done} bytes were in place, and ${left} are kept`);
}

/** Back-off takes no time, but the event loop gets a turn, as it does when time passes. */
function busyClock(): ReturnType<typeof fakeClock> {
  const clock = fakeClock();
  return {
    ...clock,
    async sleep(ms, signal) {
      await clock.sleep(ms, signal);
      await delay(0);
    },
  };
}

function mustBeNothing(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(faults.join("\n"));
}
