/**
 * Writes a tar of an image, one member after the other, with headers that depend on names and sizes alone. The file appears
 * whole: it is written beside, synced and renamed; what is not a regular file (a pipe) gets it at the end in one go.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { open, realpath, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { encodeTarEntry, TAR_END, tarPadding } from "../../codec/tar/header.ts";
import { toVarveError } from "../../errors/from-system.ts";
import { syncNames } from "../../store/durable.ts";
import { readRange } from "./plain-file.ts";
import { openSpool, writeAll, writeStream } from "./spool.ts";

/** Bytes of a header without extensions. */
export const TAR_BLOCK = 512;
/** The most that eleven octal digits say. */
const MAX_USTAR_SIZE = 8 ** 11 - 1;

export function fileHeader(name: string, size: number): Uint8Array {
  return encodeTarEntry({ type: "file", name, size });
}

/** For a name of at most 100 characters, whatever the size, so that its place can be kept before the size is known. */
export function oneBlockHeader(name: string, size: number): Uint8Array {
  return encodeTarEntry({ type: "file", name, size }, { format: size > MAX_USTAR_SIZE ? "gnu" : "ustar" });
}

/** Where the finished archive goes. */
type Target =
  | { readonly kind: "file"; readonly path: string; readonly temporary: string }
  | { readonly kind: "pipe"; readonly path: string };

export class ArchiveWriter implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #target: Target;
  #position = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(file: FileHandle, target: Target) {
    this.#file = file;
    this.#target = target;
  }

  /** @throws VarveError `FILE_NOT_FOUND` (no such directory), `PERMISSION`, `IO` */
  static async open(path: string): Promise<ArchiveWriter> {
    try {
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && !found.isFile() && !found.isDirectory()) {
        return new ArchiveWriter(await openSpool(), { kind: "pipe", path });
      }
      // What a symlink names is replaced, not the symlink.
      const real = found === undefined ? path : await realpath(path);
      const temporary = join(dirname(real), `.${basename(real).slice(0, 100)}.${randomUUID()}`);
      return new ArchiveWriter(await open(temporary, "wx+", 0o666), { kind: "file", path: real, temporary });
    } catch (error) {
      throw toVarveError(error, `writing ${path}`);
    }
  }

  addDirectory(name: string): Promise<void> {
    return this.#inTurn(() => this.#append(encodeTarEntry({ type: "directory", name })));
  }

  addBytes(name: string, bytes: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      await this.#append(fileHeader(name, bytes.length));
      await this.#append(bytes);
      await this.#append(tarPadding(bytes.length));
    });
  }

  /**
   * Adds a file as it streams in. Waits its turn before it asks for the first byte; when the stream fails, the archive is as
   * it was before.
   *
   * @param headerBytes how much room to leave for the header
   * @param keep asked at the end for the header; undefined drops the member again
   */
  addStream(
    bytes: AsyncIterable<Uint8Array>,
    headerBytes: number,
    keep: (size: number) => Uint8Array | undefined,
  ): Promise<void> {
    return this.#inTurn(async () => {
      const start = this.#position + headerBytes;
      const end = await writeStream(this.#file, bytes, start);
      const header = keep(end - start);
      if (header === undefined) return;
      await this.#append(header);
      this.#position = end;
      await this.#append(tarPadding(end - start));
    });
  }

  /** Ends the archive and puts it in its place, durably. */
  commit(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#append(TAR_END);
      // A member that was dropped or failed at the end may have left bytes behind.
      await this.#file.truncate(this.#position);
      await (this.#target.kind === "file" ? this.#publish(this.#target) : this.#send(this.#target.path));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#turn;
    await this.#file.close();
    if (this.#target.kind === "file") await rm(this.#target.temporary, { force: true });
  }

  async #publish({ path, temporary }: { readonly path: string; readonly temporary: string }): Promise<void> {
    await this.#file.sync();
    await rename(temporary, path);
    await syncNames(dirname(path));
  }

  async #send(path: string): Promise<void> {
    await using pipe = await open(path, constants.O_WRONLY);
    for await (const chunk of readRange(this.#file, 0, this.#position)) await pipe.appendFile(chunk);
  }

  async #append(bytes: Uint8Array): Promise<void> {
    await writeAll(this.#file, bytes, this.#position);
    this.#position += bytes.length;
  }

  /** A tar is one stream: members wait for each other, and a failed one does not hold up the next. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work).catch((error: unknown) => {
      throw toVarveError(error, `writing ${this.#target.path}`);
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}
