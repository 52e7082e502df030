/** One blob on its way in. One request at a time writes to it; its digest is computed as the bytes come. */
import { createReadStream } from "node:fs";
import { open, truncate, type FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import { toVarveError } from "../../errors/from-system.ts";
import { Digester, type Digest, type DigestAlgorithm } from "../../oci/digest.ts";
import { Arriving } from "./arriving.ts";

export interface UploadFacts {
  readonly id: string;
  /** The repository. */
  readonly name: string;
  /** Of the digest that it is expected to get; another costs one more reading. */
  readonly algorithm: DigestAlgorithm;
}

export interface UploadParts {
  /** The data file. */
  readonly path: string;
  readonly size: number;
  readonly touchedAt: number;
  readonly now: () => number;
  /** Removes what is left of it. */
  readonly onEnd: () => Promise<void>;
}

export interface ReceiveOptions {
  /** Ends it as the client's leaving does; what came until then is kept. */
  readonly signal: AbortSignal;
  /** After so many bytes the connection is broken. Default: never. */
  readonly cut?: number;
  /** Whether what came of a body that broke off is kept. Default true. */
  readonly keeps?: boolean;
}

const READ_BYTES = 1024 * 1024;

export class Upload {
  readonly id: string;
  readonly name: string;
  readonly #algorithm: DigestAlgorithm;
  readonly #parts: UploadParts;
  #size: number;
  #touchedAt: number;
  /** Over all that is in the file; undefined when that is not known, as of what an earlier process wrote. */
  #digester: Digester | undefined;
  #turns: Promise<unknown> = Promise.resolve();
  #interrupt: AbortController | undefined;
  #arriving: Arriving | undefined;
  #hasEnded = false;

  constructor({ id, name, algorithm }: UploadFacts, parts: UploadParts) {
    this.id = id;
    this.name = name;
    this.#algorithm = algorithm;
    this.#parts = parts;
    this.#size = parts.size;
    this.#touchedAt = parts.touchedAt;
    if (parts.size === 0) this.#digester = new Digester(algorithm);
  }

  /** Bytes that are there. */
  get size(): number {
    return this.#size;
  }

  get path(): string {
    return this.#parts.path;
  }

  get touchedAt(): number {
    return this.#touchedAt;
  }

  get isBusy(): boolean {
    return this.#interrupt !== undefined;
  }

  /** It became a blob, or was given up. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Waits for what came of a body that has ended or broken off, until it is written: a client that comes again is told of all of it. */
  async settled(): Promise<void> {
    if (this.#arriving?.isOver === true) await this.#turns.catch(() => undefined);
  }

  /**
   * Has the upload alone for as long as `work` takes. A request that still holds it is broken off, for a client that comes again has given it up,
   * though this end may not have noticed.
   */
  async turn<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#interrupt?.abort();
    const own = new AbortController();
    this.#interrupt = own;
    const before = this.#turns;
    const mine = (async (): Promise<T> => {
      await before.catch(() => undefined);
      return work(AbortSignal.any([signal, own.signal]));
    })();
    this.#turns = mine;
    try {
      return await mine;
    } finally {
      if (this.#interrupt === own) this.#interrupt = undefined;
      this.#touchedAt = this.#parts.now();
    }
  }

  /** Appends a body. @throws when it breaks off, with what came written and counted; VarveError `NO_SPACE`, `IO` */
  async receive(body: Readable, { signal, cut, keeps = true }: ReceiveOptions): Promise<void> {
    const start = this.#size;
    const arriving = new Arriving(body, signal, cut);
    this.#arriving = arriving;
    try {
      await using file = await open(this.path, "r+");
      for (let chunks = await arriving.next(); chunks.length > 0; chunks = await arriving.next()) {
        await this.#write(file, chunks);
      }
      arriving.check();
    } catch (error) {
      arriving.stop();
      if (!keeps) await this.#cutBack(start);
      throw isSystemError(error) ? toVarveError(error, "receiving a blob") : error;
    }
  }

  /** Of all that is there. Reads the file again only when this process has not seen all of it come. */
  async digest(algorithm: DigestAlgorithm, signal: AbortSignal): Promise<Digest> {
    const seen = this.#digester;
    this.#digester = undefined;
    if (seen !== undefined && algorithm === this.#algorithm && seen.size === this.#size) return seen.digest();
    const digester = new Digester(algorithm);
    for await (const chunk of createReadStream(this.path, { highWaterMark: READ_BYTES, signal })) {
      digester.update(chunk as Buffer);
    }
    return digester.digest();
  }

  /** Gives it up, or ends it when its file has become a blob. */
  async discard(): Promise<void> {
    this.#hasEnded = true;
    this.#interrupt?.abort();
    await this.#parts.onEnd();
  }

  async #write(file: FileHandle, chunks: readonly Buffer[]): Promise<void> {
    const start = this.#size;
    try {
      let waiting = chunks.map((chunk): Uint8Array => chunk);
      for (let position = start; waiting.length > 0;) {
        const { bytesWritten } = await file.writev(waiting, position);
        position += bytesWritten;
        waiting = afterBytes(waiting, bytesWritten);
      }
    } catch (error) {
      // Nothing behind what is counted, so that the file's size is what a later process can trust.
      await file.truncate(start).catch(() => undefined);
      throw error;
    }
    for (const chunk of chunks) this.#digester?.update(chunk);
    this.#size = start + chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  async #cutBack(size: number): Promise<void> {
    if (this.#size === size) return;
    await truncate(this.path, size);
    this.#size = size;
    this.#digester = size === 0 ? new Digester(this.#algorithm) : undefined;
  }
}

function afterBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    const skipped = Math.min(count, chunk.length);
    count -= skipped;
    if (skipped < chunk.length) rest.push(chunk.subarray(skipped));
  }
  return rest;
}

function isSystemError(error: unknown): boolean {
  const { syscall } = error as NodeJS.ErrnoException;
  return syscall === "write" || syscall === "open" || syscall === "ftruncate" || syscall === "writev";
}
