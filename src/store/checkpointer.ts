/**
 * Keeps the progress of one ingest: sums what is written, and now and then makes it durable and claims it in the journal, in
 * this order and never the other way round. A claim is thus true after any crash.
 */
import { toVarveError } from "../errors/from-system.ts";
import type { VarveError } from "../errors/varve-error.ts";
import { sumOf } from "./claims.ts";
import type { DataFile } from "./data-file.ts";
import type { IngestPlace } from "./ingest-place.ts";
import { MAX_PIECE_BYTES, type Piece } from "./journal-format.ts";
import { Journal } from "./journal.ts";
import { PendingPieces } from "./pending-pieces.ts";
import type { Resumed } from "./resume.ts";
import type { ByteRange } from "./types.ts";

/** A checkpoint starts by itself at this many unrecorded bytes, unless others are given ... */
const CHECKPOINT_BYTES = 64 * 1024 * 1024;
/** ... and, so that a slow or stalled transfer is kept too, this long after the first unrecorded byte. */
const CHECKPOINT_MS = 1000;

export interface CheckpointerOptions {
  readonly folder: IngestPlace;
  readonly size: number;
  readonly sync: boolean;
  /** Default 64 MiB. `Infinity`: nothing is ever recorded. */
  readonly checkpointBytes?: number;
}

export class Checkpointer implements AsyncDisposable {
  readonly #options: CheckpointerOptions;
  readonly #file: Pick<DataFile, "read" | "datasync" | "sync">;
  readonly #key: Uint8Array;
  readonly #pending: PendingPieces;
  readonly #every: number;
  #journal: Journal | undefined;
  /** What was claimed while the claims of an earlier process are being checked. */
  #recorded: Piece[] | undefined;
  #namesDurable = false;
  #broken: VarveError | undefined;
  #running: Promise<void> = Promise.resolve();
  #queued = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CheckpointerOptions, resumed: Resumed) {
    this.#options = options;
    this.#file = resumed.file;
    this.#key = resumed.key;
    this.#journal = resumed.journal;
    this.#recorded = resumed.pieces.length === 0 ? undefined : [];
    this.#every = options.checkpointBytes ?? CHECKPOINT_BYTES;
    this.#pending = new PendingPieces(resumed.key);
  }

  /** Set when a sync of the data failed: the kernel may since call lost pages clean, so the data cannot be trusted any more. */
  get broken(): VarveError | undefined {
    return this.#broken;
  }

  /** As {@link PendingPieces.wrote}. */
  wrote(position: number, bytes: Uint8Array, again: boolean): void {
    if (this.#every === Infinity) return;
    this.#pending.wrote(position, bytes, again);
    this.#schedule();
  }

  /** As {@link PendingPieces.zeros}. */
  zeros(position: number, length: number): void {
    if (this.#every === Infinity) return;
    this.#pending.zeros(position, length);
    this.#schedule();
  }

  /** As {@link PendingPieces.forget}. What is recorded already stays so: its claim is checked before it is used. */
  forget(start: number, end: number): void {
    this.#pending.forget(start, end);
  }

  /** Records what has been written before the call. Calls queue up. */
  checkpoint(): Promise<void> {
    if (this.#every === Infinity) return Promise.resolve();
    const mine = this.#running.then(() => this.#checkpointNow());
    this.#running = mine.catch(() => {});
    return mine;
  }

  /** The claims that the ingest was opened with are checked. When not all hold, the journal is written anew without the others. */
  claimsChecked(held: readonly Piece[] | undefined): Promise<void> {
    const mine = this.#running.then(() => this.#dropOtherClaims(held));
    this.#running = mine.catch(() => {});
    return mine;
  }

  /** Makes the whole file durable, its mode too, for the last time. @throws what is then {@link broken} */
  async finish(): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#options.sync) await this.#durably(() => this.#file.sync());
  }

  /** Lets no checkpoint start by itself any more, and waits for those that have. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  /** After {@link stop}, when the ingest goes on after all. */
  restart(): void {
    this.#stopped = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#journal?.[Symbol.asyncDispose]();
    this.#journal = undefined;
  }

  #schedule(): void {
    if (this.#stopped || this.#every === Infinity) return;
    if (this.#pending.bytes >= this.#every) this.#checkpointSoon();
    else this.#timer ??= setTimeout(() => this.#checkpointSoon(), CHECKPOINT_MS).unref();
  }

  #checkpointSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#queued) return;
    this.#queued = true;
    // Failing to record is no reason to stop the transfer; what is one is kept in #broken.
    void this.checkpoint()
      .catch(() => {})
      .finally(() => {
        this.#queued = false;
      });
  }

  async #checkpointNow(): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    const taken = this.#pending.take();
    if (taken.pieces.length === 0 && taken.unsummed.length === 0) return;
    try {
      if (this.#options.sync) await this.#durably(() => this.#file.datasync());
      await this.#record([...taken.pieces, ...(await this.#sumRanges(taken.unsummed))]);
    } catch (error) {
      this.#pending.restore(taken);
      throw toVarveError(error, `recording the progress of ${this.#options.folder.digest}`);
    }
  }

  async #durably(sync: () => Promise<void>): Promise<void> {
    try {
      await sync();
    } catch (error) {
      this.#broken = toVarveError(error, `writing ${this.#options.folder.digest} to the disk`);
      throw this.#broken;
    }
  }

  async #sumRanges(ranges: readonly ByteRange[]): Promise<Piece[]> {
    const pieces: Piece[] = [];
    for (const range of ranges) {
      for (let start = range.start; start < range.end; start += MAX_PIECE_BYTES) {
        const piece = { start, end: Math.min(range.end, start + MAX_PIECE_BYTES) };
        const sum = await sumOf(this.#file, piece, this.#key);
        if (sum !== undefined) pieces.push({ ...piece, sum });
      }
    }
    return pieces;
  }

  async #record(pieces: readonly Piece[]): Promise<void> {
    if (this.#journal === undefined) await this.#startJournal(pieces);
    else await this.#journal.append(pieces);
    this.#recorded?.push(...pieces);
    await this.#syncNames();
  }

  async #dropOtherClaims(held: readonly Piece[] | undefined): Promise<void> {
    const recorded = this.#recorded;
    this.#recorded = undefined;
    if (held === undefined || recorded === undefined || this.#journal === undefined) return;
    await this.#startJournal([...held, ...recorded]);
    await this.#syncNames();
  }

  async #startJournal(pieces: readonly Piece[]): Promise<void> {
    const { folder, size, sync } = this.#options;
    const header = { digest: folder.digest, size, key: this.#key };
    const before = this.#journal;
    await folder.make();
    this.#journal = await Journal.create(folder.journal, header, pieces, sync);
    this.#namesDurable = false;
    await before?.[Symbol.asyncDispose]();
  }

  async #syncNames(): Promise<void> {
    if (this.#options.sync && !this.#namesDurable) await this.#options.folder.syncNames();
    this.#namesDurable = true;
  }
}
