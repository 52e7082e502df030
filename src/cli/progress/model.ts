/** What is known of a running transfer, folded out of its events; the displays draw it. */
import { basename } from "node:path";
import type { DeltaProgress, DiskProgress, ProgressEvent } from "../../recipe/progress.ts";

export type LayerPhase = "queued" | "waiting" | "fetching" | "verified" | "unpacking" | "checking" | "present" | "done";

export interface LayerState {
  /** The digest of a layer, the last name of a disk's path. */
  name: string;
  phase: LayerPhase;
  /** Bytes that are here. */
  done: number;
  /** Bytes of the whole; 0 while unknown. */
  total: number;
  bytesPerSecond: number;
  etaSeconds: number | null;
  /** Whether a byte came since it was begun; until then it may be waiting for its turn. */
  moves: boolean;
  unpacked: number;
  unpackTotal: number | null;
  /** Whether unpacking is all there is to do, so that `done` and `total` count uncompressed bytes. */
  onlyUnpacks: boolean;
  /** Whether it is compressed another way, which makes another layer of it. */
  compresses: boolean;
  /** Of a machine's disk: bytes that came over the network for it. */
  received: number | undefined;
  /** Of a file that is copied: bytes that were written, while the others are holes or shared. */
  copied: number | undefined;
  /** When the last event came. */
  updatedAt: number;
}

/** Sums over layers. */
export interface Totals {
  readonly layers: number;
  readonly finished: number;
  readonly done: number;
  readonly total: number;
  readonly bytesPerSecond: number;
  readonly etaSeconds: number | null;
}

/** After so long without news a transfer has stalled, and its last speed is not its speed. */
const STALL_MS = 3000;

export class ProgressModel {
  readonly #layers = new Map<string, LayerState>();
  #reference = "";
  #destination: string | undefined;

  /** The image that is being moved; empty when none was named. */
  get reference(): string {
    return this.#reference;
  }

  /** Where it is moved; undefined when that is here. */
  get destination(): string | undefined {
    return this.#destination;
  }

  /** In the order in which they appeared. */
  get layers(): readonly LayerState[] {
    return [...this.#layers.values()];
  }

  /** @param now milliseconds, of the same clock as in {@link totals} */
  apply(event: ProgressEvent, now: number): void {
    switch (event.type) {
      case "resolve":
        // What was compressed goes by another digest when it is copied.
        if (event.reference !== this.#reference || event.to !== undefined) this.#layers.clear();
        this.#reference = event.reference;
        this.#destination = event.to;
        return;
      case "layer-queued":
        this.#change(event.digest, now, { phase: "queued", total: event.total, done: event.done });
        return;
      case "disk-queued":
        this.#change(event.digest, now, { phase: "queued", name: event.name, total: event.total, received: 0 });
        return;
      case "unpack-queued":
        this.#change(event.digest, now, { phase: "queued", total: event.total ?? 0, onlyUnpacks: true });
        return;
      case "layer-start":
        this.#change(event.digest, now, {
          phase: "fetching",
          moves: false,
          total: event.total,
          done: event.resumed,
        });
        return;
      case "progress": {
        const { digest, done, total, bytesPerSecond, etaSeconds, network } = event;
        const { done: before = 0, received } = this.#layers.get(digest) ?? {};
        const moving = { done, total, bytesPerSecond, etaSeconds, ...(done > before && { moves: true }) };
        this.#change(digest, now, { ...moving, ...(received !== undefined && { received: network }) });
        this.#advance(digest, "fetching");
        return;
      }
      case "unpack":
        this.#unpack(event, now);
        return;
      case "disk":
        this.#disk(event, now);
        return;
      case "delta":
        this.#delta(event, now);
        return;
      case "wait":
        this.#change(event.digest, now, { phase: "waiting", done: event.done, total: event.total });
        return;
      case "layer-verified":
        this.#finish(event.digest, event.total, now, "verified");
        return;
      case "layer-mounted":
      case "layer-present":
        this.#finish(event.digest, event.total, now, "present");
        return;
      case "layer-done":
        this.#finish(event.digest, event.total, now, "done");
        return;
      case "retry":
      case "failover":
      case "throttle":
      case "fallback":
      case "warning":
      case "image-done":
        return;
    }
  }

  totals(now: number): Totals {
    let [finished, done, total, bytesPerSecond] = [0, 0, 0, 0];
    for (const layer of this.#layers.values()) {
      if (isFinished(layer)) finished += 1;
      done += layer.done;
      total += Math.max(layer.total, layer.done);
      bytesPerSecond += speedOf(layer, now);
    }
    const left = total - done;
    const etaSeconds = left === 0 ? 0 : bytesPerSecond > 0 ? left / bytesPerSecond : null;
    return { layers: this.#layers.size, finished, done, total, bytesPerSecond, etaSeconds };
  }

  /** How much is where it is to be; what is only compressed so far is nowhere. */
  arrived(now: number): Pick<Totals, "done" | "total" | "finished" | "layers"> {
    const isCompressing = [...this.#layers.values()].some(({ compresses }) => compresses);
    return isCompressing ? { done: 0, total: 0, finished: 0, layers: 0 } : this.totals(now);
  }

  #unpack(event: Extract<ProgressEvent, { type: "unpack" }>, now: number): void {
    const { digest, done, total } = event;
    const compresses = event.compresses === true;
    this.#change(digest, now, {
      unpacked: done,
      unpackTotal: total,
      ...(compresses && { compresses, onlyUnpacks: true }),
    });
    if (compresses && done === total) return this.#finish(digest, total, now, "done");
    const layer = this.#layers.get(digest);
    if (layer?.onlyUnpacks === true) this.#change(digest, now, { done, total: total ?? done });
    // Layers are unpacked while they come in; the slower of the two is what is shown.
    else if (layer === undefined || layer.done < layer.total) return;
    this.#advance(digest, "unpacking");
  }

  #disk({ path, phase, done, total, copied, bytesPerSecond, etaSeconds }: DiskProgress, now: number): void {
    const name = basename(path);
    const moving = { done, total, bytesPerSecond, etaSeconds, moves: done > 0 };
    this.#change(name, now, { ...moving, ...(phase !== "checking" && { copied }) });
    this.#advance(name, phase === "copying" ? "fetching" : phase);
  }

  #delta({ digest, phase, done, total, bytesPerSecond, etaSeconds }: DeltaProgress, now: number): void {
    if (phase === "common") return this.#finish(digest, total, now, "present");
    if (phase === "done") return this.#finish(digest, total, now, "done");
    this.#change(digest, now, { done, total, bytesPerSecond, etaSeconds, moves: done > 0 });
    this.#advance(digest, phase === "queued" ? "queued" : "fetching");
  }

  #finish(name: string, total: number, now: number, phase: LayerPhase): void {
    this.#change(name, now, { done: total, total, bytesPerSecond: 0, etaSeconds: 0 });
    this.#advance(name, phase);
  }

  /** Phases only go forward, whatever the order of late events; only a new start goes back. */
  #advance(name: string, phase: LayerPhase): void {
    const layer = this.#layers.get(name);
    if (layer !== undefined && ORDER.indexOf(phase) > ORDER.indexOf(layer.phase)) layer.phase = phase;
  }

  #change(name: string, now: number, change: Partial<LayerState>): void {
    const layer = this.#layers.get(name) ?? newLayer(name);
    Object.assign(layer, change, { updatedAt: now });
    this.#layers.set(name, layer);
  }
}

const ORDER: readonly LayerPhase[] = [
  "queued",
  "waiting",
  "fetching",
  "verified",
  "unpacking",
  "checking",
  "present",
  "done",
];

function newLayer(name: string): LayerState {
  return {
    name,
    phase: "queued",
    done: 0,
    total: 0,
    bytesPerSecond: 0,
    etaSeconds: null,
    moves: false,
    unpacked: 0,
    unpackTotal: null,
    onlyUnpacks: false,
    compresses: false,
    received: undefined,
    copied: undefined,
    updatedAt: 0,
  };
}

export function isFinished(layer: LayerState): boolean {
  return layer.phase === "done" || layer.phase === "present";
}

export function isStalled(layer: LayerState, now: number): boolean {
  return layer.phase === "fetching" && layer.moves && !isWaitedFor(layer) && now - layer.updatedAt >= STALL_MS;
}

/** All bytes have moved, and whoever got them has not said yet that they are right: registries read a large blob once more before they do. */
export function isWaitedFor(layer: LayerState): boolean {
  return layer.phase === "fetching" && layer.moves && layer.total > 0 && layer.done >= layer.total;
}

export function speedOf(layer: LayerState, now: number): number {
  return layer.phase === "fetching" && !isWaitedFor(layer) && !isStalled(layer, now) ? layer.bytesPerSecond : 0;
}
