/**
 * A layer's tar that is a file: the one that EROFS keeps, a blob that was never compressed, one that was inflated for this. It stays open for as long
 * as it is used, so that it can be read to its end whoever removes its name meanwhile.
 */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { SeekableTar, TarPart } from "./seekable-tar.ts";

export interface FileTarOptions {
  /** For messages. Default: the path. */
  readonly name?: string;
  /** Whether the path may be a symbolic link, as those of open files are. Default false. */
  readonly follow?: boolean;
}

export class FileTar implements SeekableTar {
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #name: string;

  private constructor(handle: FileHandle, size: number, name: string) {
    this.#handle = handle;
    this.size = size;
    this.#name = name;
  }

  /** @throws VarveError `FILE_NOT_FOUND`, `SOURCE_CHANGED` when it is no regular file; `PERMISSION`, `IO` */
  static async open(path: string, { name = path, follow = false }: FileTarOptions = {}): Promise<FileTar> {
    try {
      // A FIFO must not block us.
      const flags = constants.O_RDONLY | constants.O_NONBLOCK | (follow ? 0 : constants.O_NOFOLLOW);
      await using opened = new AsyncDisposableStack();
      const handle = opened.use(await open(path, flags));
      const found = await handle.stat();
      if (!found.isFile()) throw new VarveError("SOURCE_CHANGED", `${name} is not a regular file`);
      opened.move();
      return new FileTar(handle, found.size, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ELOOP") throw toVarveError(error, `opening ${name}`);
      throw new VarveError("SOURCE_CHANGED", `${name} is not a regular file`, { cause: error });
    }
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    for (let filled = 0; filled < into.length;) {
      const { bytesRead } = await this.#handle
        .read(into, filled, into.length - filled, position + filled)
        .catch((error: unknown) => {
          throw toVarveError(error, `reading ${this.#name}`);
        });
      if (bytesRead === 0) {
        throw new VarveError("SOURCE_CHANGED", `${this.#name} ends at byte ${position + filled}, it had ${this.size}`);
      }
      filled += bytesRead;
    }
  }

  *parts(start: number, length: number): Generator<TarPart> {
    if (length > 0) yield { kind: "file", path: `/proc/self/fd/${this.#handle.fd}`, start, length };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close();
  }
}
