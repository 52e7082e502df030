/** The messages by which balena's engine tells how a delta is made. */
import { digestHex, type Digest } from "../../../oci/digest.ts";
import { formatReference, type Reference } from "../../../oci/reference.ts";
import type { DeltaProgress } from "../../../recipe/progress.ts";
import type { DeltaCreated } from "../../../transfer/deltas/create-types.ts";
import { goDuration, humanSize, progressBar } from "./go-text.ts";

export interface BalenaMessage {
  readonly id?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly progress?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly code: number; readonly message: string };
}

type LayerState = Pick<DeltaProgress, "phase" | "done" | "total">;

/**
 * Puts what is told of a delta into the order that clients know, whatever of it is left out on the way to a slow one: first the base, then each layer of
 * the target, one after the other.
 */
export class DeltaMessages {
  readonly #source: string;
  readonly #now: () => number;
  readonly #startedAt: number;
  /** Of the target, bottom to top; undefined as long as nobody knows them. */
  #layers: readonly Digest[] | undefined;
  readonly #states = new Map<Digest, LayerState>();
  /** Of the base; undefined as long as nothing was told of it. */
  #read: { readonly done: number; readonly total: number } | undefined;
  #isRead = false;
  /** How many layers all has been said of. */
  #told = 0;

  /** @param source as the client gave it @param layers DiffIDs of the target, where they are known @param now milliseconds that only grow */
  constructor(source: string, layers: readonly Digest[] | undefined, now: () => number = () => performance.now()) {
    this.#source = source;
    this.#layers = layers;
    this.#now = now;
    this.#startedAt = now();
  }

  *tell({ digest, phase, done, total }: DeltaProgress): Generator<BalenaMessage, void, undefined> {
    if (phase === "fingerprinting") {
      if (!this.#isRead) yield this.#reading(done, total);
      return;
    }
    this.#states.set(digest, { phase, done, total });
    // Which layers there are is told before the base is read, and by the engine after it.
    if (this.#isRead || phase === "computing" || phase === "done") yield* this.#layersSoFar(digest);
  }

  /** What is left to be told. @param tag what the client wanted it to be called */
  *end(result: DeltaCreated, tag: Reference | undefined): Generator<BalenaMessage, void, undefined> {
    this.#layers ??= result.layers.map(({ diffId }) => diffId);
    for (const { diffId, how, bytes } of result.layers) {
      this.#states.set(diffId, { phase: how === "common" ? "common" : "done", done: bytes, total: bytes });
    }
    yield* this.#layersSoFar(undefined);
    const { bytes, deltaBytes, imageId } = result;
    const ratio = bytes === 0 || deltaBytes === 0 ? 1 : bytes / deltaBytes;
    const sizes = `Normal size: ${humanSize(bytes)}, Delta size: ${humanSize(deltaBytes)}`;
    yield { status: `${sizes}, ${ratio.toFixed(2)}x improvement` };
    yield { status: `Created delta: ${imageId}` };
    if (tag !== undefined) yield { status: `Successfully tagged ${familiarName(tag)}\n` };
  }

  #reading(current: number, total: number): BalenaMessage {
    this.#read = { done: current, total };
    const status = "Fingerprinting";
    return { id: this.#source, status, progressDetail: { current, total }, progress: progressBar(current, total) };
  }

  /** @param changed whose progress is to be told, when it is its turn */
  *#layersSoFar(changed: Digest | undefined): Generator<BalenaMessage, void, undefined> {
    if (!this.#isRead) yield* this.#begin();
    for (const layers = this.#layers ?? []; this.#told < layers.length; this.#told++) {
      const digest = layers[this.#told]!;
      const state = this.#states.get(digest);
      if (state === undefined || state.phase === "queued") return;
      const id = shortId(digest);
      if (state.phase === "common") yield { id, status: "Skipping common layer", progressDetail: {} };
      else if (state.phase === "done") {
        yield computing(id, state.total, state.total);
        yield { id, status: "Delta complete", progressDetail: {} };
      } else {
        if (digest === changed) yield computing(id, state.done, state.total);
        return;
      }
    }
  }

  *#begin(): Generator<BalenaMessage, void, undefined> {
    this.#isRead = true;
    // Where all layers are common nothing of the base is read.
    const { done = -1, total = 0 } = this.#read ?? {};
    if (done < total) yield this.#reading(total, total);
    const took = goDuration(this.#now() - this.#startedAt);
    yield { id: this.#source, status: `Fingerprint complete, took ${took}`, progressDetail: {} };
    this.#layers ??= [...this.#states.keys()];
    for (const digest of this.#layers) yield { id: shortId(digest), status: "Waiting", progressDetail: {} };
  }
}

function computing(id: string, current: number, total: number): BalenaMessage {
  const status = "Computing delta";
  return { id, status, progressDetail: { current, total }, progress: progressBar(current, total) };
}

function shortId(digest: Digest): string {
  return digestHex(digest).slice(0, 12);
}

/** Without what Docker adds to short names. */
export function familiarName(reference: Reference): string {
  return formatReference(reference).replace(/^docker\.io\/(library\/(?=[^/]+$))?/, "");
}
