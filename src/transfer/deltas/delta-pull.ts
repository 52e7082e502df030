/**
 * What one pull has for making layers by deltas: the deltas, the tars that they copy from, and turns. Deltas come side by side like other blobs, but
 * only a few are applied at a time, because each has pages of its base in memory. What is made of them is written with buffers of their own:
 * a tar that waits for its delta then takes no transfer from those that bring it.
 */
import { TransferBudget } from "../../recipe/limiter.ts";
import type { DeltaPlace, LayerDelta, LayerDeltas, LayerTars } from "./types.ts";
import type { TransferContext } from "../context.ts";

/** Layers that are made at a time. */
const AT_ONCE = 2;
const WRITES_AT_ONCE = 3;

export interface DeltaPullOptions {
  readonly deltas: LayerDeltas;
  readonly tars: LayerTars;
  /** `always`: whatever a delta costs. Default `auto`. */
  readonly mode?: "auto" | "always";
  /** What else goes when the pull has ended. */
  readonly held?: AsyncDisposable | undefined;
}

/** Takes over what it is given, and disposes of it. */
export class DeltaPull implements AsyncDisposable {
  readonly deltas: LayerDeltas;
  readonly tars: LayerTars;
  readonly mode: "auto" | "always";
  /** For what is written of tars. */
  readonly budget = new TransferBudget({ concurrency: WRITES_AT_ONCE });
  readonly #held: AsyncDisposable | undefined;
  readonly #waiting: (() => void)[] = [];
  #free = AT_ONCE;

  constructor({ deltas, tars, mode = "auto", held }: DeltaPullOptions) {
    this.deltas = deltas;
    this.tars = tars;
    this.mode = mode;
    this.#held = held;
  }

  /** Waits for a turn at making a layer; dispose of it when the layer is made. @throws the signal's reason */
  async turn(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#next(signal);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const next = this.#waiting.shift();
        if (next === undefined) this.#free++;
        else next();
      },
    };
  }

  async #next(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = (): void => {
      const place = this.#waiting.indexOf(resolve);
      // Otherwise it has just been given the turn, and sees the signal itself.
      if (place === -1) return;
      this.#waiting.splice(place, 1);
      reject(signal.reason as Error);
    };
    this.#waiting.push(resolve);
    signal.addEventListener("abort", giveUp, { once: true });
    await promise.finally(() => signal.removeEventListener("abort", giveUp));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    all.use(this.#held);
    all.use(this.tars);
    all.use(this.deltas);
  }
}

/** Where a delta comes from. */
export function placeOf(
  { registry }: TransferContext,
  { place }: Pick<LayerDeltas, "place">,
  { reference }: LayerDelta,
): DeltaPlace {
  return (
    place ?? {
      blobs: registry.blobs(reference),
      ranges: () => registry.supportsRanges(reference),
      distrust: (digest) => registry.distrust(digest),
    }
  );
}
