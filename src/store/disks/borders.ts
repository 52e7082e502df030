/**
 * Borders between blocks of the stream that a window is decoded from, kept beside its journal so that another process can go on from one. They
 * are a help: lines are appended as they come and never synced, a line that is torn ends the file, and borders of another blob are dropped.
 * That they are true shows when the window's digest comes out right.
 *
 *     borders <content> <blob> <crc32>
 *     border <encoded> <decoded> <crc32>
 */
import { constants } from "node:fs";
import { mkdir, open, readFile, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { BlockBorder } from "../../codec/apple-lz4/decoder.ts";
import type { Digest } from "../../oci/digest.ts";
import { writeFully } from "../journal.ts";
import { summed, wordsOf } from "./done-log.ts";
import type { DecoderCheckpoints } from "./types.ts";

/** Decoded bytes from one border to the next, at least ... */
const APART = 4 * 1024 * 1024;
/** ... and so many borders at most. */
const MOST = 4096;
/** Twice what so many lines take. A larger file is none of ours. */
const MAX_BYTES = 1024 * 1024;

export interface BordersOf {
  /** Bytes that come out. */
  readonly size: number;
  /** Digest of what comes out. */
  readonly content: Digest;
  /** That it comes out of. Default: any. */
  readonly blob?: Digest;
}

export class Borders implements DecoderCheckpoints, AsyncDisposable {
  readonly #path: string;
  readonly #size: number;
  readonly #header: string;
  readonly #borders: BlockBorder[];
  /** Where the next line goes. */
  #end: number;
  #file: FileHandle | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(path: string, size: number, header: string, read: { borders: BlockBorder[]; end: number }) {
    this.#path = path;
    this.#size = size;
    this.#header = header;
    this.#borders = read.borders;
    this.#end = read.end;
  }

  static async open(path: string, { size, content, blob }: BordersOf): Promise<Borders> {
    const header = `${summed(`borders ${content} ${blob ?? "any"}`)}\n`;
    const text = await readText(path);
    const usable = text.startsWith(header);
    return new Borders(path, size, header, usable ? parse(text, header.length, size) : { borders: [], end: 0 });
  }

  before(front: number): BlockBorder | undefined {
    return this.#borders.findLast(({ decoded }) => decoded <= front);
  }

  note({ encoded, decoded }: BlockBorder): void {
    const last = this.#borders.at(-1) ?? { encoded: 0, decoded: 0 };
    if (this.#closed || decoded < last.decoded + Math.max(APART, this.#size / MOST)) return;
    if (encoded <= last.encoded || decoded > this.#size || this.#borders.length >= MOST) return;
    this.#borders.push({ encoded, decoded });
    const line = Buffer.from(`${summed(`border ${encoded} ${decoded}`)}\n`, "latin1");
    // What cannot be kept is a little more to be fetched again.
    this.#running = this.#running.then(() => this.#append(line)).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #append(line: Uint8Array): Promise<void> {
    const { O_WRONLY, O_CREAT, O_NOFOLLOW } = constants;
    if (this.#file === undefined) await mkdir(dirname(this.#path), { recursive: true });
    this.#file ??= await open(this.#path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600);
    const bytes = this.#end === 0 ? Buffer.concat([Buffer.from(this.#header, "latin1"), line]) : line;
    // What is behind the end is torn, or of another blob.
    await this.#file.truncate(this.#end);
    await writeFully(this.#file, bytes, this.#end);
    this.#end += bytes.length;
  }
}

async function readText(path: string): Promise<string> {
  try {
    return (await stat(path)).size > MAX_BYTES ? "" : await readFile(path, "latin1");
  } catch {
    return "";
  }
}

function parse(text: string, start: number, size: number): { borders: BlockBorder[]; end: number } {
  const borders: BlockBorder[] = [];
  let end = start;
  for (const line of text.slice(start).split("\n").slice(0, -1)) {
    const [word, first, second] = wordsOf(line) ?? [];
    const [encoded, decoded] = [Number(first), Number(second)];
    const last = borders.at(-1) ?? { encoded: 0, decoded: 0 };
    const isNext = Number.isSafeInteger(encoded) && encoded > last.encoded && decoded > last.decoded && decoded <= size;
    if (word !== "border" || !isNext || !Number.isSafeInteger(decoded) || borders.length >= MOST) break;
    borders.push({ encoded, decoded });
    end += line.length + 1;
  }
  return { borders, end };
}
