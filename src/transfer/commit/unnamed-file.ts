/** Bytes on disk that nobody else can see, and that are gone with whoever holds them. */
import { randomUUID } from "node:crypto";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";

const CHUNK = 1024 * 1024;

export class UnnamedFile implements AsyncDisposable {
  readonly #handle: FileHandle;
  #size = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** @param directory on the file system that has the room for it @throws VarveError `NO_SPACE`, `PERMISSION`, `IO` */
  static async create(directory: string): Promise<UnnamedFile> {
    const path = join(directory, `.new-${randomUUID()}`);
    try {
      const handle = await open(path, "wx+", 0o600);
      await unlink(path);
      return new UnnamedFile(handle);
    } catch (error) {
      throw toVarveError(error, `making a file in ${directory}`);
    }
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size;
  }

  /** For who writes to it by the file descriptor; `filledTo` says how much that was. */
  get descriptor(): number {
    return this.#handle.fd;
  }

  /** Under which this process can open it once more. */
  get path(): string {
    return `/proc/self/fd/${this.#handle.fd}`;
  }

  /** Somebody else has written so many bytes, from the beginning. */
  filledTo(size: number): void {
    this.#size = size;
  }

  /** @throws VarveError `NO_SPACE`, `IO` */
  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.byteLength;) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.byteLength - done, this.#size + done);
        done += bytesWritten;
      }
      this.#size += bytes.byteLength;
    } catch (error) {
      throw toVarveError(error, "writing a layer");
    }
  }

  /** All of it from a byte on, in chunks that belong to the consumer. @throws VarveError `IO` */
  async *read(start = 0): AsyncGenerator<Uint8Array> {
    for (let at = start; at < this.#size;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, this.#size - at));
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, at).catch((error: unknown) => {
        throw toVarveError(error, "reading back a layer");
      });
      if (bytesRead === 0) throw new VarveError("IO", `a file of ${this.#size} bytes ended after ${at}`);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close();
  }
}
