/**
 * Reads what a layer holds, to hash it. Files are opened without following links at their names, and held to where they really are: were a
 * directory on the way swapped for a link, nothing outside of the layer would be read.
 */
import { hash, createHash } from "node:crypto";
import { constants, readlinkSync, realpathSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { dataExtents, type Extent } from "../../sys/sparse.ts";
import type { HeldLayer } from "./held-layer.ts";
import type { IndexFile } from "./index-file.ts";
import { refAt, sizeAt, startAt } from "./rows.ts";

/** What is read at once, and the most that is hashed without letting others have their turn. */
const READ_BYTES = 1 << 20;
/** Content that nobody asked for and is read all the same when it lies between two files that are. */
const GAP_BYTES = 32 * 1024;
/** Files of a tree that are opened at once, and what is read of each at once. */
const AT_ONCE = 8;
const TREE_READ_BYTES = 128 * 1024;
/** Extents after which others get their turn: some milliseconds. */
const TURN = 2000;
/** Of a disk; what lies behind the last of them is read whatever it is. */
const MOST_EXTENTS = 1 << 18;
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** @param row where it begins in the rows that were given */
export type OnDigest = (row: number, digest: Uint8Array) => void;

export class HeldContent implements AsyncDisposable {
  readonly #layer: HeldLayer;
  readonly #file: IndexFile;
  readonly #signal: AbortSignal | undefined;
  readonly #devices = new Map<number, Promise<FileHandle>>();
  readonly #extents = new Map<number, Extent[]>();
  #within: string | undefined;
  #buffer: Buffer | undefined;

  constructor(layer: HeldLayer, file: IndexFile, signal?: AbortSignal) {
    this.#layer = layer;
    this.#file = file;
    this.#signal = signal;
  }

  /** Absolute. @throws INDEX_INVALID */
  pathOf(ref: number): string {
    return pathOf(this.#layer, this.#file, ref);
  }

  /**
   * Hashes what rows tell of. What cannot be read is passed over.
   * @param which where the rows begin; sorted by place
   * @param isWanted asked right before a row is read
   * @throws the signal's reason
   */
  async hash(
    words: Uint32Array,
    which: readonly number[],
    isWanted: (row: number) => boolean,
    onDigest: OnDigest,
  ): Promise<void> {
    if (this.#layer.form === "devices") return this.#hashRanges(words, which, isWanted, onDigest);
    const rest = which.values();
    const work = async (): Promise<void> => {
      const buffer = Buffer.allocUnsafeSlow(TREE_READ_BYTES);
      for (const row of rest) {
        this.#signal?.throwIfAborted();
        if (!isWanted(row)) continue;
        const digest = await this.#hashFile(refAt(words, row), sizeAt(words, row), buffer);
        if (digest !== undefined) onDigest(row, digest);
      }
    };
    // All of them are over before the rows are used up, also when one fails.
    const settled = await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, which.length) }, work));
    for (const one of settled) if (one.status === "rejected") throw one.reason;
  }

  /**
   * The bytes of one file in order, lent until the next ones are asked for; fewer when it is shorter than it was.
   * @throws NodeJS.ErrnoException, the signal's reason
   */
  async *read(ref: number, start: number, size: number): AsyncGenerator<Buffer> {
    const isTree = this.#layer.form === "tree";
    const handle = isTree ? await this.#open(this.pathOf(ref)) : await this.#device(ref);
    try {
      const buffer = (this.#buffer ??= Buffer.allocUnsafeSlow(READ_BYTES));
      for (let done = 0; done < size;) {
        this.#signal?.throwIfAborted();
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - done), start + done);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
        done += bytesRead;
      }
    } finally {
      if (isTree) await handle.close();
    }
  }

  /**
   * The runs of data within a range of a device, in order; what lies between them is zeros.
   * @throws NodeJS.ErrnoException
   */
  async dataWithin(ref: number, start: number, size: number): Promise<Extent[]> {
    const extents = this.#extents.get(ref) ?? (await this.#findExtents(ref));
    this.#extents.set(ref, extents);
    const within: Extent[] = [];
    for (let at = firstBehind(extents, start); at < extents.length; at++) {
      const { offset, length } = extents[at]!;
      if (offset >= start + size) break;
      const from = Math.max(start, offset);
      within.push({ offset: from, length: Math.min(start + size, offset + length) - from });
    }
    return within;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const device of this.#devices.values()) {
      await device.then(
        (handle) => handle.close(),
        () => {},
      );
    }
    this.#devices.clear();
  }

  async #hashRanges(
    words: Uint32Array,
    which: readonly number[],
    isWanted: (row: number) => boolean,
    onDigest: OnDigest,
  ): Promise<void> {
    const window = new Window(Buffer.allocUnsafeSlow(READ_BYTES));
    for (const [number, row] of which.entries()) {
      this.#signal?.throwIfAborted();
      if (!isWanted(row)) continue;
      const [ref, start, size] = [refAt(words, row), startAt(words, row), sizeAt(words, row)];
      const end = start + size;
      try {
        if (size > READ_BYTES) {
          const digest = await this.#hashStream(ref, start, size);
          if (digest !== undefined) onDigest(row, digest);
          continue;
        }
        if (!window.has(ref, start, end)) {
          await window.fill(await this.#device(ref), ref, start, endOfRun(words, which, number, window.size));
        }
        if (window.has(ref, start, end)) onDigest(row, hash("sha256", window.bytes(start, end), "buffer"));
      } catch {
        this.#signal?.throwIfAborted();
      }
    }
  }

  async #hashFile(ref: number, size: number, buffer: Buffer): Promise<Uint8Array | undefined> {
    let handle: FileHandle | undefined;
    try {
      handle = await this.#open(this.pathOf(ref));
      const whole = size < buffer.length;
      const digester = whole ? undefined : createHash("sha256");
      let done = 0;
      for (;;) {
        this.#signal?.throwIfAborted();
        // One byte more than it had: it must end there.
        const { bytesRead } = await handle.read(buffer, whole ? done : 0, whole ? size + 1 - done : buffer.length);
        if (bytesRead === 0) break;
        digester?.update(buffer.subarray(0, bytesRead));
        done += bytesRead;
        if (done > size) return undefined;
      }
      if (done !== size) return undefined;
      return digester?.digest() ?? hash("sha256", buffer.subarray(0, size), "buffer");
    } catch {
      this.#signal?.throwIfAborted();
      return undefined;
    } finally {
      await handle?.close();
    }
  }

  async #hashStream(ref: number, start: number, size: number): Promise<Uint8Array | undefined> {
    const digester = createHash("sha256");
    let done = 0;
    for await (const bytes of this.read(ref, start, size)) {
      digester.update(bytes);
      done += bytes.length;
    }
    return done === size ? digester.digest() : undefined;
  }

  async #findExtents(ref: number): Promise<Extent[]> {
    const handle = await this.#device(ref);
    const { size } = await handle.stat();
    const extents: Extent[] = [];
    for (const extent of dataExtents(handle.fd, size)) {
      if (extents.length % TURN === TURN - 1) await setImmediate();
      this.#signal?.throwIfAborted();
      if (extents.length < MOST_EXTENTS) extents.push(extent);
      else return [...extents, { offset: extent.offset, length: size - extent.offset }];
    }
    return extents;
  }

  async #device(ref: number): Promise<FileHandle> {
    const opening = this.#devices.get(ref) ?? this.#open(this.pathOf(ref));
    this.#devices.set(ref, opening);
    return opening;
  }

  /** @param place where an open file really is */
  #isOurs(place: string, path: string): boolean {
    if (this.#layer.isDisk === true) return place === join(realpathSync(dirname(path)), basename(path));
    this.#within ??= `${realpathSync(this.#layer.folder)}/`;
    return place.startsWith(this.#within);
  }

  async #open(path: string): Promise<FileHandle> {
    const handle = await open(path, FLAGS);
    try {
      const place = readlinkSync(`/proc/self/fd/${handle.fd}`);
      if (!this.#isOurs(place, path) || !(await handle.stat()).isFile()) throw new Error("is not a file of the layer");
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
}

/** Number of the first extent that ends behind a position. */
function firstBehind(extents: readonly Extent[], position: number): number {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { offset, length } = extents[middle]!;
    if (offset + length <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Absolute path of what a row's `ref` means. @throws INDEX_INVALID */
export function pathOf({ form, roots, folder }: HeldLayer, file: IndexFile, ref: number): string {
  if (form === "devices") return roots[ref] ?? join(folder, "none");
  return join(roots[0] ?? folder, file.pathAt(ref));
}

/** A stretch of one device in memory. */
class Window {
  readonly #buffer: Buffer;
  #ref = -1;
  #start = 0;
  #end = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get size(): number {
    return this.#buffer.length;
  }

  has(ref: number, start: number, end: number): boolean {
    return ref === this.#ref && start >= this.#start && end <= this.#end;
  }

  bytes(start: number, end: number): Buffer {
    return this.#buffer.subarray(start - this.#start, end - this.#start);
  }

  async fill(handle: FileHandle, ref: number, start: number, end: number): Promise<void> {
    this.#ref = -1;
    const { bytesRead } = await handle.read(this.#buffer, 0, end - start, start);
    [this.#ref, this.#start, this.#end] = [ref, start, start + bytesRead];
  }
}

/** How far one read reaches from a row on, over those that follow near by. */
function endOfRun(words: Uint32Array, which: readonly number[], from: number, most: number): number {
  const first = which[from]!;
  const start = startAt(words, first);
  let end = start + sizeAt(words, first);
  for (let number = from + 1; number < which.length; number++) {
    const row = which[number]!;
    const next = startAt(words, row) + sizeAt(words, row);
    if (refAt(words, row) !== refAt(words, first) || startAt(words, row) > end + GAP_BYTES || next - start > most)
      break;
    end = Math.max(end, next);
  }
  return end;
}
