/**
 * An ingest over a plain file, with a journal in memory: for tests of the recipe engine. It counts what is done to it, can
 * be told to fail or to be slow, and can be opened again with what its last checkpoint knew, as after a crash.
 */
import { open, type FileHandle } from "node:fs/promises";
import { VarveError } from "../../../src/errors/varve-error.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import { RangeSet } from "../../../src/store/range-set.ts";
import type { ByteRange, ContentInfo, Ingest } from "../../../src/store/types.ts";

export interface FileIngestOptions {
  readonly path: string;
  readonly digest: Digest;
  readonly size: number;
  readonly resumed?: readonly ByteRange[];
  /** Called before each write; may delay it, or throw. */
  readonly onWrite?: (position: number, length: number) => Promise<void> | void;
}

export class FileIngest implements Ingest {
  readonly digest: Digest;
  readonly size: number;
  readonly path: string;
  readonly resumed: readonly ByteRange[];
  /** What a crash would leave. */
  journal: readonly ByteRange[];
  writes = 0;
  zeroRuns = 0;
  readBytes = 0;
  bytesInFlight = 0;
  peakBytesInFlight = 0;
  failure: unknown;
  discarded = false;
  readonly #options: FileIngestOptions;
  readonly #file: FileHandle;
  readonly #done: RangeSet;
  /** Where the file may hold something else than zeros. */
  readonly #touched: RangeSet;
  readonly #waiters = new Set<() => void>();
  #closed = false;

  private constructor(options: FileIngestOptions, file: FileHandle) {
    this.#options = options;
    this.#file = file;
    this.digest = options.digest;
    this.size = options.size;
    this.path = options.path;
    this.resumed = options.resumed ?? [];
    this.journal = this.resumed;
    this.#done = new RangeSet(this.resumed);
    this.#touched = new RangeSet(options.resumed === undefined ? [] : [{ start: 0, end: this.size }]);
  }

  static async open(options: FileIngestOptions): Promise<FileIngest> {
    const file = await open(options.path, options.resumed === undefined ? "w+" : "r+");
    await file.truncate(options.size);
    return new FileIngest(options, file);
  }

  get done(): readonly ByteRange[] {
    return this.#done.toArray();
  }

  get front(): number {
    return this.#done.contiguousEnd();
  }

  /** What it is opened with is taken for checked. */
  get claimed(): readonly ByteRange[] {
    return [];
  }

  checkClaims(): Promise<void> {
    return Promise.resolve();
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    this.#check(position, bytes.length);
    this.writes++;
    this.bytesInFlight += bytes.length;
    this.#touched.add(position, position + bytes.length);
    this.peakBytesInFlight = Math.max(this.peakBytesInFlight, this.bytesInFlight);
    try {
      await this.#options.onWrite?.(position, bytes.length);
      const { bytesWritten } = await this.#file.write(bytes, 0, bytes.length, position);
      if (bytesWritten !== bytes.length) throw new VarveError("IO", "short write");
    } finally {
      this.bytesInFlight -= bytes.length;
    }
    this.#add(position, bytes.length);
  }

  /** As on a file system that shares nothing. */
  share(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async writeZeros(position: number, length: number): Promise<void> {
    this.#check(position, length);
    this.zeroRuns++;
    await this.#options.onWrite?.(position, length);
    for (const range of this.#touched.within(position, position + length)) {
      await this.#file.write(new Uint8Array(range.end - range.start), 0, range.end - range.start, range.start);
    }
    this.#add(position, length);
  }

  forget(position: number, length: number): void {
    this.#done.delete(position, position + length);
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    if (!this.#done.has(position, position + length)) throw new VarveError("INTERNAL", "read before it was written");
    const bytes = new Uint8Array(length);
    const { bytesRead } = await this.#file.read(bytes, 0, length, position);
    if (bytesRead !== length) throw new VarveError("IO", "short read");
    this.readBytes += length;
    return bytes;
  }

  async waitFront(position: number, signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      if (this.failure !== undefined) throw this.failure as Error;
      if (this.front > position || this.front === this.size || this.#closed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiters.add(resolve);
      signal?.addEventListener("abort", () => resolve(), { once: true });
      await promise;
    }
  }

  async checkpoint(): Promise<void> {
    this.journal = this.done;
  }

  async commit(computed: { digest: Digest; size: number }): Promise<ContentInfo> {
    if (computed.digest !== this.digest || computed.size !== this.size)
      throw new VarveError("DIGEST_MISMATCH", "commit");
    return { ...computed, path: this.path };
  }

  async discard(): Promise<void> {
    this.discarded = true;
    this.journal = [];
  }

  fail(error: unknown): void {
    this.failure ??= error;
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#wake();
    await this.#file.close();
  }

  #check(position: number, length: number): void {
    if (position < 0 || position + length > this.size) throw new VarveError("INGEST_LIMIT", "outside of the blob");
  }

  #add(position: number, length: number): void {
    this.#done.add(position, position + length);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}
