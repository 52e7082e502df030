/** Writing the files of a layer that is kept as its tar with an index. Synchronous, as the parser that feeds it is. */
import { closeSync, constants, fchmodSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { toVarveError } from "../errors/from-system.ts";
import type { ExtraSink, PayloadCopy } from "./payload-places.ts";

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
/** Nobody writes them again; bytes of a tar are no secret that its blob is not. */
const MODE = 0o444;
/** Smaller chunks are put together to as much. */
const GATHER_BYTES = 1 << 20;

/** A missing one is fine. */
export function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw toVarveError(error, `cannot remove ${path}`);
  }
}

/** A new file in the place of whatever a former try has left there. Errors are coded: NO_SPACE, PERMISSION, IO ... */
export class NewFile implements Disposable {
  readonly #path: string;
  #fd: number;
  #gathered: Buffer | undefined;
  #filled = 0;

  constructor(path: string) {
    this.#path = path;
    removeFile(path);
    this.#fd = this.#do(() => openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
  }

  /** At the end. */
  write(bytes: Uint8Array): void {
    if (this.#filled === 0 && bytes.byteLength >= GATHER_BYTES / 4) return this.#write(bytes, null);
    for (let at = 0; at < bytes.byteLength;) {
      const buffer = (this.#gathered ??= Buffer.allocUnsafeSlow(GATHER_BYTES));
      const length = Math.min(bytes.byteLength - at, GATHER_BYTES - this.#filled);
      buffer.set(bytes.subarray(at, at + length), this.#filled);
      this.#filled += length;
      at += length;
      if (this.#filled === GATHER_BYTES) this.flush();
    }
  }

  /** Somewhere; such a file is not also written at its end. */
  writeAt(bytes: Uint8Array, position: number): void {
    this.#write(bytes, position);
  }

  flush(): void {
    const filled = this.#filled;
    this.#filled = 0;
    if (filled > 0 && this.#gathered !== undefined) this.#write(this.#gathered.subarray(0, filled), null);
  }

  /** Fills up to `length` bytes from a position of it; what was written must be flushed. @returns how many there were */
  readAt(bytes: Uint8Array, position: number): number {
    return this.#do(() => readSync(this.#fd, bytes, 0, bytes.byteLength, position));
  }

  /** Nothing more comes: the file gets its size (with a hole at its end, if need be) and its mode. */
  finish(size?: number): void {
    this.flush();
    this.#do(() => {
      if (size !== undefined) ftruncateSync(this.#fd, size);
      fchmodSync(this.#fd, MODE);
    });
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd >= 0) this.#do(() => closeSync(fd));
  }

  #write(bytes: Uint8Array, position: number | null): void {
    this.#do(() => {
      for (let done = 0; done < bytes.byteLength;) {
        done += writeSync(this.#fd, bytes, done, bytes.byteLength - done, position === null ? null : position + done);
      }
    });
  }

  #do<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw toVarveError(error, `cannot write ${this.#path}`);
    }
  }
}

/** A tar that is a file already, whoever made it: what is read of it is not written again. */
export class StandingFile implements Disposable {
  readonly #path: string;
  #fd = -1;

  /** It is opened when it is read first. */
  constructor(path: string) {
    this.#path = path;
  }

  write(): void {}

  flush(): void {}

  finish(): void {
    this[Symbol.dispose]();
  }

  /** As {@link NewFile.readAt}. */
  readAt(bytes: Uint8Array, position: number): number {
    try {
      if (this.#fd < 0) this.#fd = openSync(this.#path, O_RDONLY | O_NOFOLLOW);
      return readSync(this.#fd, bytes, 0, bytes.byteLength, position);
    } catch (error) {
      throw toVarveError(error, `cannot read ${this.#path}`);
    }
  }

  [Symbol.dispose](): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd >= 0) closeSync(fd);
  }
}

/** The extra file, which is made when the first bytes for it come. */
export class ExtraFile implements ExtraSink, Disposable {
  readonly #path: string;
  #file: NewFile | undefined;

  constructor(path: string) {
    this.#path = path;
    removeFile(path);
  }

  write(bytes: Uint8Array, position: number): void {
    this.#file ??= new NewFile(this.#path);
    this.#file.writeAt(bytes, position);
  }

  /** Copies what the tar could not serve in place. */
  copy(tar: NewFile | StandingFile, copies: readonly PayloadCopy[]): void {
    tar.flush();
    const buffer = Buffer.allocUnsafeSlow(copies.length === 0 ? 0 : GATHER_BYTES);
    for (const { from, size, to } of copies) {
      for (let done = 0; done < size;) {
        const length = tar.readAt(buffer.subarray(0, Math.min(size - done, buffer.length)), from + done);
        if (length === 0) break;
        this.write(buffer.subarray(0, length), to + done);
        done += length;
      }
    }
  }

  finish(size: number): void {
    if (size === 0) return;
    this.#file ??= new NewFile(this.#path);
    this.#file.finish(size);
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
  }
}
