/**
 * The disks of a machine that the store lacks: opened, planned with what other disks hold, and made content by content, several at once in the
 * order of the disks; then each gets its name. The first failure cancels the rest; what came is kept.
 */
import { zeroContents } from "../../codec/tart/zero-digests.ts";
import type { Digest } from "../../oci/digest.ts";
import { contentAt, DiskContents, type DiskPlace } from "../../plan/disk-contents.ts";
import { TransferBudget } from "../../recipe/limiter.ts";
import type { Lease } from "../../store/leases.ts";
import type { TransferContext } from "../context.ts";
import { inParallel } from "../in-parallel.ts";
import type { Tally } from "../tally.ts";
import { ContentPlans, type ContentLeft, type ContentPlan } from "./content-plans.ts";
import { DiskMeter } from "./disk-meter.ts";
import type { DiskRows } from "./disk-rows.ts";
import { heldContents } from "./held-contents.ts";
import type { IndexedImage } from "./index/find-index.ts";
import { makeContent, type MadeContent } from "./make-content.ts";
import { openDisks, type DiskTask, type OpenDisk } from "./open-disks.ts";

export interface GetDisksOptions {
  readonly image: IndexedImage;
  readonly wait: boolean;
  /** As in `OpenOptions`. Default false. */
  readonly anew?: boolean;
  /** Transfers at once. */
  readonly concurrency: number;
  readonly tally: Tally;
  /** Protects the disks, and what they are made of. */
  readonly lease: Lease;
  /** Told where each chunk came from. */
  readonly rows: DiskRows;
  readonly signal: AbortSignal;
}

/** Disks that are open at once: stacks have a few, and only a manifest that means harm has thousands. */
const DISKS_AT_ONCE = 16;
/** Contents beyond the transfers that may be begun: while some are made durable, the network stays busy. */
const CONTENTS_AHEAD = 2;

/**
 * @param tasks disks with keys of their own, in the order of the image
 * @returns bytes that an earlier try had left
 */
export async function getDisks(
  context: TransferContext,
  tasks: readonly DiskTask[],
  options: GetDisksOptions,
): Promise<number> {
  let resumedBytes = 0;
  const budget = new TransferBudget({ concurrency: options.concurrency });
  for (let at = 0; at < tasks.length; at += DISKS_AT_ONCE) {
    await using open = await openDisks(context, tasks.slice(at, at + DISKS_AT_ONCE), options);
    if (open.disks.length > 0) resumedBytes += await new DiskGroup(context, open.disks, { ...options, budget }).get();
  }
  return resumedBytes;
}

interface GroupOptions extends GetDisksOptions {
  readonly budget: TransferBudget;
}

/** Disks that are made side by side, because they may share contents. */
class DiskGroup {
  readonly #context: TransferContext;
  readonly #disks: readonly OpenDisk[];
  readonly #meters: readonly DiskMeter[];
  readonly #options: GroupOptions;
  #resumedBytes = 0;

  constructor(context: TransferContext, disks: readonly OpenDisk[], options: GroupOptions) {
    this.#context = context;
    this.#disks = disks;
    this.#meters = disks.map(({ key, disk }) => new DiskMeter(key, disk.size, context.onProgress));
    this.#options = options;
  }

  async get(): Promise<number> {
    const { signal, lease, rows, concurrency } = this.#options;
    const chunked = this.#disks.map(({ disk }) => disk);
    const chunks = chunked.flatMap((disk) => disk.chunks);
    const zeros = await zeroContents(chunks, { signal });
    const contents = new DiskContents(chunked, zeros);
    const held = await heldContents(this.#context.store, contents, lease);
    for (const disk of chunked) rows.setZeros(disk, zeros);
    this.#tellWhatIsHere(contents, zeros);
    const isHere = (piece: number): boolean =>
      contents.places(piece).some((place) => this.#isDone(contents, piece, place));
    await using plans = await ContentPlans.open(this.#context, contents, held, isHere, this.#options);
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const pieces = Array.from({ length: contents.length }, (_, piece) => piece);
    await inParallel(pieces, concurrency + CONTENTS_AHEAD, async (piece) => {
      try {
        await this.#makeEverywhere(contents, piece, plans, stop);
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    });
    // Nothing is recorded of zeros, however badly their blobs were compressed: by their digests alone.
    const stored = chunks.map(({ digest, ...chunk }) =>
      Object.assign(chunk, { digest: digest!, coding: "stored" as const }),
    );
    const holes = await zeroContents(stored, { signal });
    for (const disk of this.#disks.keys()) await this.#commit(disk, holes);
    await plans.remember(this.#disks.map(({ key }) => key));
    return this.#resumedBytes;
  }

  /** Progress begins where the disks stand. */
  #tellWhatIsHere(contents: DiskContents, zeros: ReadonlySet<Digest>): void {
    for (const [number, { disk }] of this.#disks.entries()) {
      const meter = this.#meters[number]!;
      for (const { digest, size } of disk.chunks) if (zeros.has(digest!)) meter.holes(size);
      for (let piece = 0; piece < contents.length; piece++) {
        for (const place of contents.places(piece)) {
          if (place.disk === number && this.#isDone(contents, piece, place)) meter.here(contents.size(piece));
        }
      }
      meter.start();
    }
  }

  /** Once, and then as copies. */
  async #makeEverywhere(
    contents: DiskContents,
    piece: number,
    plans: ContentPlans,
    signal: AbortSignal,
  ): Promise<void> {
    const { rows } = this.#options;
    signal.throwIfAborted();
    const places = contents.places(piece);
    const before = places.find((place) => this.#isDone(contents, piece, place));
    const first = before ?? places[0]!;
    const chunked = this.#disks.map(({ disk }) => disk);
    if (before === undefined) {
      const { plan, resumedBytes, ...facts } = await this.#make(contents, piece, plans, signal);
      this.#resumedBytes += resumedBytes;
      rows.setContent(chunked, contents, piece, first, { how: "disk", ...facts, why: plan.why });
    } else {
      this.#resumedBytes += contents.size(piece);
      rows.setContent(chunked, contents, piece, first, { how: "disk", why: "here from an earlier try" });
    }
    const from = { path: this.#disks[first.disk]!.partial.path, offset: first.offset };
    for (const place of places) {
      if (this.#isDone(contents, piece, place)) continue;
      await this.#disks[place.disk]!.partial.copy(from, contentAt(contents, piece, place), signal);
      this.#meters[place.disk]!.copied(contents.size(piece));
    }
  }

  async #make(contents: DiskContents, piece: number, plans: ContentPlans, signal: AbortSignal): Promise<MadeContent> {
    const { image, budget, tally } = this.#options;
    const { disk, offset } = contents.places(piece)[0]!;
    let chosen: ContentPlan | undefined;
    const task = {
      reference: image.reference,
      chunk: contents.chunk(piece),
      disk: this.#disks[disk]!.partial,
      offset,
      plan: (left: ContentLeft) => (chosen = plans.get(piece, left)),
    };
    const options = { budget, priority: piece, meter: this.#meters[disk]!, tally, signal };
    const made = await makeContent(this.#context, task, options);
    if (chosen?.source === "chunk index" && made.fallbacks.length === 0) plans.proved(piece);
    return made;
  }

  #isDone(contents: DiskContents, piece: number, place: DiskPlace): boolean {
    return this.#disks[place.disk]!.partial.isDone(contentAt(contents, piece, place));
  }

  async #commit(number: number, zeros: ReadonlySet<Digest>): Promise<void> {
    const { disk, partial } = this.#disks[number]!;
    const contents = disk.chunks.flatMap(({ digest, size, offset }) =>
      size === 0 || zeros.has(digest!) ? [] : [{ digest: digest!, size, offset }],
    );
    await partial.commit(contents);
    this.#meters[number]!.finish();
  }
}
