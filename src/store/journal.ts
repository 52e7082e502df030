/**
 * An ingest's journal on disk. It keeps zeroed space ahead of its end, so that a full disk, the likeliest reason for an
 * ingest to stop, does not also lose the record of what was done.
 */
import { open, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import {
  encodeHeader,
  encodePiece,
  parseJournal,
  type JournalHeader,
  type ParsedJournal,
  type Piece,
} from "./journal-format.ts";

const RESERVE_BYTES = 16 * 1024;
/** 400,000 pieces of 4 MiB. A larger journal is not read, and none is made larger. */
const MAX_JOURNAL_BYTES = 16 * 1024 * 1024;

export class Journal implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #sync: boolean;
  #end: number;
  #reserved: number;

  private constructor(file: FileHandle, end: number, reserved: number, sync: boolean) {
    this.#file = file;
    this.#end = end;
    this.#reserved = reserved;
    this.#sync = sync;
  }

  /** Puts a new journal in the place of whatever is at `path`, atomically: until the rename the old one stands. */
  static async create(path: string, header: JournalHeader, pieces: readonly Piece[], sync: boolean): Promise<Journal> {
    const temporary = `${path}.new`;
    const file = await open(temporary, "w", 0o600);
    try {
      const bytes = Buffer.concat([encodeHeader(header), ...pieces.map(encodePiece)]);
      await writeFully(file, Buffer.concat([bytes, Buffer.alloc(RESERVE_BYTES)]), 0);
      if (sync && pieces.length > 0) await file.datasync();
      await rename(temporary, path);
      return new Journal(file, bytes.length, bytes.length + RESERVE_BYTES, sync);
    } catch (error) {
      await file.close();
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** The journal at `path`, as far as it can be read; undefined when there is none, or none that is one. */
  static async read(path: string): Promise<ParsedJournal | undefined> {
    try {
      const { size } = await stat(path);
      return size > MAX_JOURNAL_BYTES + RESERVE_BYTES * 2 ? undefined : parseJournal(await readFile(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Adds claims, durably. Call it only when the data that they claim is durable. One call at a time. */
  async append(pieces: readonly Piece[]): Promise<void> {
    const records = Buffer.concat(pieces.map(encodePiece));
    if (records.length === 0 || this.#end + records.length > MAX_JOURNAL_BYTES) return;
    await writeFully(this.#file, records, this.#end);
    if (this.#sync) await this.#file.datasync();
    this.#end += records.length;
    if (this.#reserved - this.#end < RESERVE_BYTES / 4) await this.#reserve();
  }

  async #reserve(): Promise<void> {
    const position = Math.max(this.#reserved, this.#end);
    await writeFully(this.#file, Buffer.alloc(RESERVE_BYTES), position);
    this.#reserved = position + RESERVE_BYTES;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** Writes all of `bytes`; the system may take them in parts. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}
