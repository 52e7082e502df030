/** The bytes of an ingest where they lie: a file of its own, or a place in a larger one. Positions count from the ingest's first byte. */
import type { FileHandle } from "node:fs/promises";
import { writeFully } from "./journal.ts";
import { RangeSet } from "./range-set.ts";
import type { FileRange } from "./types.ts";

const ZEROS = new Uint8Array(1024 * 1024);

export interface DataFile {
  /** @returns how many bytes were read; fewer than asked for anywhere, none only at the end */
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Makes zeros of what may be anything else. */
  zero(position: number, length: number): Promise<void>;
  /** As `Ingest.share`, of whole blocks. @returns false when nothing is shared */
  share(position: number, range: FileRange): Promise<boolean>;
  /** Makes what was written durable. */
  datasync(): Promise<void>;
  /** The same, and all else that is to outlive a power cut, for the last time. */
  sync(): Promise<void>;
  /** Nobody is to write to it any more. */
  protect(): Promise<void>;
  close(): Promise<void>;
}

/** A file that is the ingest's alone. */
export class OwnFile implements DataFile {
  readonly #handle: FileHandle;
  /** Where it may hold something else than the zeros that it was made of. */
  readonly #touched: RangeSet;

  /** @param touchedEnd where what an earlier process wrote ends */
  constructor(handle: FileHandle, touchedEnd: number) {
    this.#handle = handle;
    this.#touched = new RangeSet([{ start: 0, end: touchedEnd }]);
  }

  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }> {
    return this.#handle.read(into, offset, length, position);
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    this.#touched.add(position, position + bytes.length);
    return writeFully(this.#handle, bytes, position);
  }

  async zero(position: number, length: number): Promise<void> {
    for (const range of this.#touched.within(position, position + length)) {
      for (let start = range.start; start < range.end; start += ZEROS.length) {
        await writeFully(this.#handle, ZEROS.subarray(0, Math.min(ZEROS.length, range.end - start)), start);
      }
    }
  }

  async share(position: number, { descriptor, start, length }: FileRange): Promise<boolean> {
    const { reflinkRange } = await import("../sys/reflink-range.ts");
    this.#touched.add(position, position + length);
    return reflinkRange(descriptor, start, this.#handle.fd, position, length);
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  sync(): Promise<void> {
    return this.#handle.sync();
  }

  protect(): Promise<void> {
    return this.#handle.chmod(0o444);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
