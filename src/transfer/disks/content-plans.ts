/**
 * How each content of the disks is got: from another disk, whole from its blob, or of pieces where an index of its chunk tells which of them are here.
 * Plans and pulls ask this alike. Nothing of it is relied upon: what does not come out right comes whole.
 */
import type { Digest } from "../../oci/digest.ts";
import { planContent, type ContentHere } from "../../plan/disk-content.ts";
import type { DiskContents } from "../../plan/disk-contents.ts";
import type { Plan } from "../../plan/plan.ts";
import { planResume } from "../../plan/resume.ts";
import type { TransferContext } from "../context.ts";
import { coarseRates } from "../chunked/coarse-rates.ts";
import { knownRates } from "../known-rates.ts";
import type { Fallback } from "../pull-result.ts";
import type { Tally } from "../tally.ts";
import type { HeldContents } from "./held-contents.ts";
import type { IndexedImage } from "./index/find-index.ts";
import { planByIndex, type IndexPlans } from "./index/plan-by-index.ts";

/** What an earlier try has left of a content. */
export type ContentLeft = Pick<ContentHere, "held" | "checkpoints">;

export interface ContentPlan {
  readonly plan: Plan;
  /** What it relies on beside the content's blob; undefined when that is nothing. */
  readonly source: "another disk" | "chunk index" | undefined;
}

export interface ContentPlansOptions {
  readonly image: IndexedImage;
  /** What the list of indexes, and these, cost is counted here. */
  readonly tally: Tally;
  readonly concurrency: number;
  /** Writes nothing to the store, for plans. Default false. */
  readonly readOnly?: boolean;
  readonly signal: AbortSignal;
}

/** Holds what the plans name; dispose of it when they were carried out. */
export class ContentPlans implements AsyncDisposable {
  /** Why there are no pieces although there is an index. */
  readonly fallbacks: readonly Fallback[];
  readonly #contents: DiskContents;
  readonly #held: HeldContents;
  readonly #pieces: IndexPlans | undefined;

  private constructor(contents: DiskContents, held: HeldContents, pieces: IndexPlans | undefined) {
    this.#contents = contents;
    this.#held = held;
    this.#pieces = pieces;
    this.fallbacks = pieces?.fallbacks ?? [];
  }

  /** @param isHere whether nothing need be made of a content, because an earlier try did */
  static async open(
    context: TransferContext,
    contents: DiskContents,
    held: HeldContents,
    isHere: (piece: number) => boolean,
    { image, tally, ...options }: ContentPlansOptions,
  ): Promise<ContentPlans> {
    const missing = Array.from({ length: contents.length }, (_, piece) => piece).filter(
      (piece) => !isHere(piece) && held.get(piece) === undefined && !held.hasBlob(contents.chunk(piece).blob.digest),
    );
    const pieces = await planByIndex(context, contents, {
      ...options,
      image,
      missing,
      blobs: context.registry.blobs(image.reference),
      rates: coarseRates(await knownRates(context, image.reference), options.concurrency),
    });
    tally.network += pieces?.network ?? 0;
    tally.requests += pieces?.requests ?? 0;
    return new ContentPlans(contents, held, pieces);
  }

  get(piece: number, left: ContentLeft = {}): ContentPlan {
    const chunk = this.#contents.chunk(piece);
    const place = this.#held.get(piece);
    const whole = planContent(chunk, { ...left, place, blobHeld: this.#held.hasBlob(chunk.blob.digest) });
    if (place !== undefined) return { plan: whole, source: "another disk" };
    const made = this.#pieces?.get(piece);
    const pieces = made && planResume(made, left.held ?? []);
    if (pieces === undefined || pieces.cost.network >= whole.cost.network) return { plan: whole, source: undefined };
    return { plan: pieces, source: "chunk index" };
  }

  /** The content was made of pieces, and none of them was wrong. */
  proved(piece: number): void {
    this.#pieces?.proved(piece);
  }

  /** For the next pull. @param keys of the disks, which are whole now, in the order in which the contents were made of them */
  async remember(keys: readonly Digest[]): Promise<void> {
    await this.#pieces?.remember(keys);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces?.[Symbol.asyncDispose]();
  }
}
