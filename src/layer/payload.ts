/** A regular file's bytes on their way into the tree: written as they come, and with the holes that the archive tells of. */
import type { SparseExtent, TarEntry } from "../codec/tar/entry.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { AtCalls } from "../sys/at.ts";
import { must, systemError } from "../sys/errno.ts";
import type { Directory } from "./directory.ts";
import { quoteName } from "./names.ts";

export class Payload implements Disposable {
  readonly fd: number;
  readonly entry: TarEntry;
  /** Where the file stands. */
  readonly parent: Directory;
  readonly base: string;
  readonly #at: AtCalls;
  /** Of a sparse file: the extent that is being filled, and how far. */
  #extent = 0;
  #filled = 0;

  /** Owns the descriptor from now on. */
  constructor(at: AtCalls, fd: number, entry: TarEntry, parent: Directory, base: string) {
    this.#at = at;
    this.fd = fd;
    this.entry = entry;
    this.parent = parent;
    this.base = base;
  }

  write(bytes: Uint8Array): void {
    const { sparse } = this.entry;
    if (sparse === undefined) this.#write(bytes, undefined);
    else this.#writeExtents(sparse, bytes);
  }

  /** All bytes were written. */
  complete(): void {
    if (this.entry.sparse === undefined) return;
    must(this.#at.truncate(this.fd, this.entry.size), "ftruncate", this.entry.name);
  }

  close(): void {
    must(this.#at.close(this.fd), "close", this.entry.name);
  }

  [Symbol.dispose](): void {
    this.#at.close(this.fd);
  }

  #writeExtents(extents: readonly SparseExtent[], bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) {
      const extent = extents[this.#extent];
      if (extent === undefined)
        throw new VarveError("LAYER_INVALID", `more data than the map of ${quoteName(this.entry.name)}`);
      const length = Math.min(extent.length - this.#filled, bytes.byteLength - at);
      this.#write(bytes.subarray(at, at + length), extent.offset + this.#filled);
      at += length;
      this.#filled += length;
      if (this.#filled < extent.length) continue;
      this.#extent++;
      this.#filled = 0;
    }
  }

  #write(bytes: Uint8Array, position: number | undefined): void {
    for (let done = 0; done < bytes.byteLength;) {
      const rest = done === 0 ? bytes : bytes.subarray(done);
      const written = this.#at.write(this.fd, rest, position === undefined ? undefined : position + done);
      if (written < 0) throw systemError(-written, "write");
      done += written;
    }
  }
}
