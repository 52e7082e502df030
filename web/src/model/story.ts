/**
 * A job's progress events folded into what is drawn of it: a strip for each layer, and what happened in words. Late listeners get the last
 * event of each layer first, so any event may be the first one of its layer.
 */
import type { ByteCounts, ProgressEvent } from "../api/types.ts";
import { addParts, partsOf, type Parts } from "./parts.ts";
import { tell, type Told } from "./tell.ts";

export type Phase = "queued" | "waiting" | "moving" | "unpacking" | "checking" | "done";

export interface LayerStory {
  readonly name: string;
  readonly phase: Phase;
  readonly parts: Parts;
  readonly counts: Readonly<ByteCounts>;
  readonly bytesPerSecond: number;
  /** Share of it that is unpacked, 0 to 1; undefined while that has not begun, or nobody knows how much it is. */
  readonly unpacked: number | undefined;
}

interface Layer {
  name: string;
  phase: Phase;
  before: number;
  done: number;
  total: number;
  counts: ByteCounts;
  bytesPerSecond: number;
  unpacked: number | undefined;
}

const noBytes = (): ByteCounts => ({ network: 0, local: 0, data: 0, zero: 0 });
const ORDER: readonly Phase[] = ["queued", "waiting", "moving", "unpacking", "checking", "done"];
/** Messages that are kept; a registry that refuses for hours says the same again and again. */
const MOST_TOLD = 200;

export class JobStory {
  readonly #layers = new Map<string, Layer>();
  readonly #told: Told[] = [];
  #dropped = 0;

  get layers(): readonly LayerStory[] {
    return [...this.#layers.values()].map(({ name, phase, before, done, total, counts, bytesPerSecond, unpacked }) => {
      return { name, phase, parts: partsOf(counts, { before, done, total }), counts, bytesPerSecond, unpacked };
    });
  }

  /** The newest last. */
  get told(): readonly Told[] {
    return this.#told;
  }

  /** Messages that are no more among those told. */
  get dropped(): number {
    return this.#dropped;
  }

  totals(): { readonly parts: Parts; readonly network: number; readonly bytesPerSecond: number } {
    const layers = this.layers;
    return {
      parts: addParts(layers.filter(({ parts }) => parts.total > 1).map(({ parts }) => parts)),
      network: layers.reduce((sum, { counts }) => sum + counts.network, 0),
      bytesPerSecond: layers.reduce((sum, layer) => sum + (layer.phase === "done" ? 0 : layer.bytesPerSecond), 0),
    };
  }

  /** @param now milliseconds since 1970 */
  apply(event: ProgressEvent, now: number): void {
    const told = tell(event, now);
    if (told !== undefined) this.#tell(told);
    switch (event.type) {
      case "layer-queued":
        return this.#set(event.digest, { total: event.total, done: event.done, before: event.done });
      case "disk-queued":
        return this.#set(event.digest, { name: event.name, total: event.total });
      case "unpack-queued":
        return this.#set(event.digest, { total: event.total ?? 0, done: event.total ?? 0, before: event.total ?? 0 });
      case "layer-start":
        return this.#set(
          event.digest,
          { total: event.total, done: event.resumed, before: event.resumed, counts: noBytes() },
          "moving",
        );
      case "progress": {
        const { digest, done, total, bytesPerSecond, network, local, data, zero } = event;
        return this.#set(digest, { done, total, bytesPerSecond, counts: { network, local, data, zero } }, "moving");
      }
      case "unpack":
        return this.#set(
          event.digest,
          { unpacked: event.total === null || event.total === 0 ? undefined : Math.min(1, event.done / event.total) },
          this.#isWhole(event.digest) ? "unpacking" : undefined,
        );
      case "delta":
        return this.#delta(event);
      case "disk":
        return this.#set(
          event.path,
          { done: event.done, total: event.total, bytesPerSecond: event.bytesPerSecond },
          event.phase === "copying" ? "moving" : event.phase,
        );
      case "wait":
        return this.#set(event.digest, { done: event.done, total: event.total }, "waiting");
      case "layer-verified":
        return this.#set(event.digest, { done: event.total, total: event.total, bytesPerSecond: 0 }, "checking");
      case "layer-present":
      case "layer-mounted":
        return this.#set(event.digest, { done: event.total, total: event.total, before: event.total }, "done");
      case "layer-done":
        return this.#set(event.digest, { done: event.total, total: event.total, bytesPerSecond: 0 }, "done");
      case "resolve":
      case "retry":
      case "failover":
      case "throttle":
      case "fallback":
      case "warning":
      case "image-done":
        return;
    }
  }

  #delta({ digest, phase, done, total, bytesPerSecond }: Extract<ProgressEvent, { type: "delta" }>): void {
    const counts = { ...noBytes(), local: phase === "common" ? 0 : done };
    const isDone = phase === "common" || phase === "done";
    this.#set(digest, { done: isDone ? total : done, total, bytesPerSecond, counts });
    this.#advance(digest, isDone ? "done" : phase === "queued" ? "queued" : "moving");
  }

  #isWhole(name: string): boolean {
    const layer = this.#layers.get(name);
    return layer === undefined || (layer.total > 0 && layer.done >= layer.total);
  }

  #set(name: string, change: Partial<Layer>, phase?: Phase): void {
    const layer = this.#layers.get(name) ?? {
      name,
      phase: "queued",
      before: 0,
      done: 0,
      total: 0,
      counts: noBytes(),
      bytesPerSecond: 0,
      unpacked: undefined,
    };
    this.#layers.set(name, Object.assign(layer, change));
    if (phase !== undefined) this.#advance(name, phase);
  }

  /** Whatever the order of late events, a layer only goes on. */
  #advance(name: string, phase: Phase): void {
    const layer = this.#layers.get(name);
    if (layer !== undefined && ORDER.indexOf(phase) > ORDER.indexOf(layer.phase)) layer.phase = phase;
  }

  #tell(told: Told): void {
    const last = this.#told.at(-1);
    if (last !== undefined && last.text === told.text) {
      this.#told[this.#told.length - 1] = { ...told, times: last.times + 1 };
      return;
    }
    this.#told.push(told);
    if (this.#told.length > MOST_TOLD) {
      this.#told.shift();
      this.#dropped++;
    }
  }
}
