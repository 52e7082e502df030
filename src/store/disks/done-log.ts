/**
 * Which places of a partial disk are done for good: a line for each, appended when its bytes are durable and itself durable before anybody is
 * told. It begins with the disk that it is of. Each line ends in a checksum; whatever does not read as a line ends the log there, which costs
 * the places after it, never the disk.
 *
 *     disk <key> <bytes> <crc32>
 *     done <offset> <bytes> <digest> <crc32>
 */
import { constants } from "node:fs";
import { open, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { writeFully } from "../journal.ts";
import type { DiskContent } from "./types.ts";

/** 100,000 places. A larger log is not read. */
const MAX_BYTES = 16 * 1024 * 1024;

export class DoneLog implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #sync: boolean;
  #end: number;

  private constructor(file: FileHandle, end: number, sync: boolean) {
    this.#file = file;
    this.#end = end;
    this.#sync = sync;
  }

  /** What the log at `path` says; undefined when it is none of this disk. @throws NodeJS.ErrnoException */
  static async read(path: string, disk: { key: Digest; size: number }): Promise<DiskContent[] | undefined> {
    let text: string;
    try {
      if ((await stat(path)).size > MAX_BYTES) return undefined;
      text = await readFile(path, "latin1");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const lines = text.split("\n").slice(0, -1);
    if (lines.shift() !== header(disk)) return undefined;
    const found: DiskContent[] = [];
    for (const line of lines) {
      const content = parse(line);
      if (content === undefined || content.offset + content.size > disk.size) break;
      found.push(content);
    }
    return found;
  }

  /** Puts a log of these places in the place of whatever is at `path`, atomically; the name is for the caller to make durable. */
  static async create(
    path: string,
    disk: { key: Digest; size: number },
    done: readonly DiskContent[],
    sync: boolean,
  ): Promise<DoneLog> {
    const temporary = `${path}.new`;
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    const file = await open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    try {
      const bytes = linesOf([header(disk), ...done.map(format)]);
      await writeFully(file, bytes, 0);
      if (sync) await file.datasync();
      await rename(temporary, path);
      return new DoneLog(file, bytes.length, sync);
    } catch (error) {
      await file.close();
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Adds places, durably. Call it only when their bytes are durable. One call at a time. */
  async append(contents: readonly DiskContent[]): Promise<void> {
    const bytes = linesOf(contents.map(format));
    // Where lines that failed half-way begin, the next ones are written over them.
    await writeFully(this.#file, bytes, this.#end);
    if (this.#sync) await this.#file.datasync();
    this.#end += bytes.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

function linesOf(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(""), "latin1");
}

function header({ key, size }: { key: Digest; size: number }): string {
  return summed(`disk ${key} ${size}`);
}

function format({ offset, size, digest }: DiskContent): string {
  return summed(`done ${offset} ${size} ${digest}`);
}

/** A line with its checksum behind it. */
export function summed(line: string): string {
  return `${line} ${crc32(line).toString(16).padStart(8, "0")}`;
}

/** The words of a line before its checksum; undefined when that is not theirs. */
export function wordsOf(line: string): string[] | undefined {
  const words = line.split(" ");
  words.pop();
  return summed(words.join(" ")) === line ? words : undefined;
}

function parse(line: string): DiskContent | undefined {
  const [word, first, second, digest] = wordsOf(line) ?? [];
  const [offset, size] = [Number(first), Number(second)];
  if (word !== "done" || !Number.isSafeInteger(offset) || !Number.isSafeInteger(size) || !isDigest(digest)) {
    return undefined;
  }
  return offset >= 0 && size > 0 ? { offset, size, digest } : undefined;
}
