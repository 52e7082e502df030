/**
 * The file of a partial disk, which all its windows write to. Zeros are not written: where nothing was yet they are a hole by being left out,
 * elsewhere whole blocks of them are given back to the file system. Parts of blocks, whose rest may be a neighbour's, and all blocks where nothing
 * can be given back, are written, and only where they hold something else (sparse-files, 4). A sync serves all who wait for one, and one that
 * fails ends the work on the disk: the kernel tells of lost pages once, whoever's they are.
 */
import { writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { dataStretches, HOLE_BLOCK } from "../../codec/zero-runs.ts";
import { toVarveError } from "../../errors/from-system.ts";
import { freeRange, shareRange } from "../../sys/space-calls.ts";
import { writeFully } from "../journal.ts";
import type { FileRange } from "../types.ts";
import { TouchedBlocks } from "./touched-blocks.ts";

/** Bytes up to which a write is made on this thread: it ends in memory, and handing it to another thread costs more. */
const SMALL = 16 << 10;
const ZEROS = new Uint8Array(1024 * 1024);

export class DiskFile implements AsyncDisposable {
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #touched: TouchedBlocks;
  readonly #what: string;
  #broken: Error | undefined;
  #syncing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** @param resumed whether anything may lie in the file @param what for errors */
  constructor(handle: FileHandle, size: number, { resumed, what }: { resumed: boolean; what: string }) {
    this.#handle = handle;
    this.size = size;
    this.#touched = new TouchedBlocks(resumed);
    this.#what = what;
  }

  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }> {
    return this.#handle.read(into, offset, length, position);
  }

  /** Writes what is not zeros and sees to it that the rest is. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    let at = 0;
    for (const [start, end] of dataStretches(bytes, 0, bytes.length, position)) {
      if (start > at) await this.zero(position + at, start - at);
      this.#touched.add(position + start, position + end);
      if (end - start <= SMALL) this.#writeNow(bytes, start, end, position + start);
      else await writeFully(this.#handle, bytes.subarray(start, end), position + start);
      at = end;
    }
    if (at < bytes.length) await this.zero(position + at, bytes.length - at);
  }

  /** Makes a hole where something may be; parts of blocks are written. */
  async zero(position: number, length: number): Promise<void> {
    for (const { start, end } of this.#touched.within(position, position + length)) {
      const [first, last] = [Math.ceil(start / HOLE_BLOCK) * HOLE_BLOCK, Math.floor(end / HOLE_BLOCK) * HOLE_BLOCK];
      if (first >= last || !(await freeRange(this.#handle.fd, first, last - first))) await this.#clear(start, end);
      else {
        await this.#clear(start, first);
        await this.#clear(last, end);
      }
    }
  }

  /** As `Ingest.share`. */
  async share(position: number, { descriptor, start, length }: FileRange): Promise<boolean> {
    this.#touched.add(position, position + length);
    return shareRange(descriptor, start, this.#handle.fd, position, length);
  }

  /** Makes all that was written before the call durable. @throws VarveError, and from then on always that */
  datasync(): Promise<void> {
    // One that runs may have passed what was written since; the one after it serves all who come until it begins.
    this.#next ??= (this.#syncing ?? Promise.resolve()).then(() => {
      this.#syncing = this.#next;
      this.#next = undefined;
      return this.#sync(() => this.#handle.datasync());
    });
    return this.#next;
  }

  /** The same, with the file's mode, for the last time. */
  async finish(sync: boolean): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    await this.#handle.chmod(0o444);
    if (sync) await this.#sync(() => this.#handle.sync());
  }

  async allocatedBytes(): Promise<number> {
    return (await this.#handle.stat()).blocks * 512;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close();
  }

  async #sync(call: () => Promise<void>): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      await call();
    } catch (error) {
      this.#broken = toVarveError(error, `writing ${this.#what} to the disk`);
      throw this.#broken;
    }
  }

  #writeNow(bytes: Uint8Array, start: number, end: number, position: number): void {
    for (let at = start; at < end;) at += writeSync(this.#handle.fd, bytes, at, end - at, position + at - start);
  }

  /** Writes zeros where there is something else: what reads as zeros already may be a hole, and stays one. */
  async #clear(start: number, end: number): Promise<void> {
    const there = Buffer.allocUnsafe(Math.max(0, Math.min(ZEROS.length, end - start)));
    for (let at = start; at < end;) {
      const { bytesRead } = await this.#handle.read(there, 0, Math.min(there.length, end - at), at);
      // Somebody has cut the file short; its end reads as zeros once it has its size.
      if (bytesRead === 0) return;
      for (const [from, to] of dataStretches(there, 0, bytesRead, at)) await this.#writeZeros(at + from, at + to);
      at += bytesRead;
    }
  }

  async #writeZeros(start: number, end: number): Promise<void> {
    for (let at = start; at < end; at += ZEROS.length) {
      await writeFully(this.#handle, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), at);
    }
  }
}
