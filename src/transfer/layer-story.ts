/**
 * What was tried to get a layer and left again, on the way to how it came in the end, and what that cost. Falling back is reported, never
 * silent.
 */
import type { Digest } from "../oci/digest.ts";
import type { ProgressSink } from "../recipe/progress.ts";
import type { LayerOutcome } from "./fetch-layer.ts";
import type { Fallback } from "./pull-result.ts";
import { Tally } from "./tally.ts";

/** Ways to a layer other than its blob: of the deltas each is one. */
export type Way = "other-form" | "held-tar" | "chunked" | `delta ${Digest}`;

/** What is left of these may be in the ingest of the layer's tar. */
const MAKES_TAR = (way: Way): boolean => way !== "other-form";

export class LayerStory {
  /** Of requests that are in no outcome. */
  readonly tally = new Tally();
  /** Why it comes as it does, where there was a choice. */
  why: string | undefined;
  readonly #digest: Digest;
  readonly #tell: ProgressSink;
  readonly #fallbacks: Fallback[] = [];
  readonly #left = new Set<Way>();

  /** @param digest of the layer's blob */
  constructor(digest: Digest, tell: ProgressSink) {
    this.#digest = digest;
    this.#tell = tell;
  }

  mayTry(way: Way): boolean {
    return !this.#left.has(way);
  }

  /** Whether a way was left that may have left a part of the layer's tar. */
  get hasLeftPieces(): boolean {
    return [...this.#left].some(MAKES_TAR);
  }

  /** It did not lead there, and is not tried again. */
  leave(way: Way, fallback: Fallback): void {
    this.#left.add(way);
    this.#fallbacks.push(fallback);
    this.#tell({ type: "fallback", digest: this.#digest, ...fallback });
  }

  /** Adds what came before to how it ended. */
  end({ result, resumedBytes }: LayerOutcome): LayerOutcome {
    const { bytes, fallbacks, requests, why = this.why } = result;
    return {
      result: {
        ...result,
        bytes: { ...bytes, network: bytes.network + this.tally.network },
        requests: requests + this.tally.requests,
        fallbacks: [...this.#fallbacks, ...fallbacks],
        ...(why !== undefined && { why }),
      },
      resumedBytes,
    };
  }
}
