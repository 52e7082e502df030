/**
 * Parts of a blob that somebody waits for and that the fetch of the whole is far from: they are asked for ahead of it, by requests of their own,
 * and put into the same ingest, so that the fetch of the whole takes them from there when it comes to them, and nothing comes twice.
 * What the fetch of the whole is just receiving as one stretch is the exception: a part in the midst of that comes once more.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { TransferBudget } from "../../recipe/limiter.ts";
import type { BlobRequest, BlobSource, TransportEvent } from "../../registry/blob-source.ts";
import { untilAborted } from "../../registry/until-aborted.ts";
import type { WatchedIngest } from "./watched-ingest.ts";

/** Asked for at a time: who has gone before the next is due did not want it. */
const PART_BYTES = 4 << 20;
/** Of one blob at once. */
const MOST_PARTS = 4;
const CHUNK_BYTES = 1 << 20;
/** What the fetch of the whole will have brought before a request of its own would have. */
const NEAR_BYTES = 4 << 20;

interface Part {
  readonly start: number;
  readonly end: number;
  readonly done: Promise<void>;
}

/** What the fetch of the whole is receiving: from `at` on. It stays until all of it has been written. */
interface Stretch {
  readonly start: number;
  at: number;
  readonly end: number;
}

export interface AheadOptions {
  readonly blob: Descriptor;
  readonly ingest: WatchedIngest;
  readonly blobs: BlobSource;
  readonly budget: TransferBudget;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TransportEvent) => void;
}

export class Ahead implements BlobSource {
  readonly #options: AheadOptions;
  /** Under way, without overlaps. */
  readonly #parts = new Set<Part>();
  /** Being asked for or waiting for a place, by where they begin. */
  readonly #wanted = new Set<number>();
  readonly #stretches = new Set<Stretch>();
  #refused = false;

  constructor(options: AheadOptions) {
    this.#options = options;
  }

  /** Begins to get the byte at `position`, and what follows it up to `end`, unless somebody is at it or nearly there. */
  want(position: number, end: number): void {
    if (this.#refused || this.#wanted.size >= MOST_PARTS || this.#partAt(position) !== undefined) return;
    if (this.#wanted.has(position) || this.#isNear(position)) return;
    this.#wanted.add(position);
    void this.#get(position, Math.min(end, position + PART_BYTES))
      .catch(() => {
        // The fetch of the whole has attempts of its own, and says what is wrong when these end.
        this.#refused = true;
        this.#options.ingest.wake();
      })
      .finally(() => this.#wanted.delete(position));
  }

  /** For the fetch of the whole: what is here by now is not asked for again, and what is under way is waited for. */
  async *readBlob(blob: Descriptor, request: BlobRequest = {}): AsyncGenerator<Uint8Array> {
    const { ingest, blobs, signal } = this.#options;
    const { range } = request;
    if (range === undefined) return yield* this.#stretch(0, blob.size, blobs.readBlob(blob, request));
    for (let at = range.start; at < range.end;) {
      const until = Math.min(ingest.hereUntil(at), range.end, at + CHUNK_BYTES);
      const part = this.#partAt(at);
      if (until > at) {
        yield await ingest.read(at, until - at);
        at = until;
      } else if (part !== undefined) {
        await untilAborted(part.done, request.signal ?? signal);
      } else {
        const end = this.#freeUntil(at, range.end);
        yield* this.#stretch(at, end, blobs.readBlob(blob, { ...request, range: { start: at, end } }));
        at = end;
      }
    }
  }

  async *#stretch(start: number, end: number, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const stretch = { start, at: start, end };
    this.#stretches.add(stretch);
    try {
      for await (const chunk of bytes) {
        stretch.at += chunk.length;
        yield chunk;
      }
    } finally {
      if (stretch.at < end) this.#stretches.delete(stretch);
    }
  }

  async #get(start: number, wanted: number): Promise<void> {
    const { budget, ingest, signal } = this.#options;
    // Before everybody else: a client waits for just this.
    using _slot = await budget.acquire({ signal, priority: -1 });
    const from = Math.min(ingest.hereUntil(start), wanted);
    if (this.#partAt(from) !== undefined) return;
    const end = this.#freeUntil(from, wanted);
    if (end <= from) return;
    const done = this.#receive(from, end);
    const part = { start: from, end, done: done.catch(() => undefined) };
    this.#parts.add(part);
    await done.finally(() => this.#parts.delete(part));
  }

  async #receive(start: number, end: number): Promise<void> {
    const { blob, blobs, ingest, signal, onEvent } = this.#options;
    let at = start;
    for await (const chunk of blobs.readBlob(blob, { range: { start, end }, signal, onEvent })) {
      await ingest.write(at, chunk);
      at += chunk.length;
    }
  }

  #partAt(position: number): Part | undefined {
    for (const part of this.#parts) if (part.start <= position && position < part.end) return part;
    return undefined;
  }

  /** Whether the fetch of the whole has just received it, or will at once. */
  #isNear(position: number): boolean {
    const { ingest } = this.#options;
    // It works off what is missing in order.
    if (position <= ingest.front + NEAR_BYTES) return true;
    for (const stretch of this.#stretches) {
      const { start, at, end } = stretch;
      if (ingest.hereUntil(start) >= end) this.#stretches.delete(stretch);
      else if (start <= position && position < end && position <= at + NEAR_BYTES) return true;
    }
    return false;
  }

  /** Up to where, from `position` on, nothing is here or under way. */
  #freeUntil(position: number, end: number): number {
    let free = this.#options.ingest.nextHere(position, end);
    for (const { start } of this.#parts) if (start > position) free = Math.min(free, start);
    return free;
  }
}
