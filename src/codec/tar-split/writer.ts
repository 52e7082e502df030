/**
 * Records a tar as a tar-split while a `TarParser` reads it: all bytes but payloads, line for line as the Go library
 * writes them. Where the tree could not give the tar back (§4 of the format: duplicates, sparse files) it stops and
 * says why; the caller then keeps the tar or the blob itself.
 */
import { cleanPath } from "./clean-path.ts";
import { Crc64 } from "./crc64.ts";
import type { TarEntry, TarHandler } from "../tar/entry.ts";
import { fileLine, segmentLine } from "./lines.ts";
import { NameSet } from "./name-set.ts";

export interface TarSplitRefusal {
  /** `headers`: one member's headers pass `segmentBytes`. `names`: there are more than `names`. */
  readonly reason: "duplicate" | "sparse" | "headers" | "names";
  /** The member at which it stopped, or (`headers`) the one before. */
  readonly name: string;
}

export interface TarSplitWriterOptions {
  /** Bytes of headers that one member may have, held in memory. Default 16 MiB. */
  readonly segmentBytes?: number;
  /** Members, of whose names 16 bytes are held in memory to find duplicates. Default 4 Mi. */
  readonly names?: number;
}

const MIB = 1024 * 1024;
/** What follows the end blocks is cut into segments of this size, as upstream does. */
const TAIL_SEGMENT_BYTES = MIB;
const FLUSH_UNITS = 64 * 1024;

/** Feed it from a `TarParser`, then call `finish`; then look at `refused`. */
export class TarSplitWriter implements TarHandler {
  readonly #emit: (lines: Uint8Array) => void;
  readonly #segmentBytes: number;
  readonly #mostNames: number;
  readonly #crc = new Crc64();
  readonly #seen = new NameSet();
  #refused: TarSplitRefusal | undefined;
  #segment = Buffer.allocUnsafeSlow(4096);
  #filled = 0;
  #inTail = false;
  #current: TarEntry | undefined;
  #lines = "";
  #position = 0;

  /** `emit` gets whole lines, some at a time, and owns the bytes. It is called at most until the refusal. */
  constructor(emit: (lines: Uint8Array) => void, options: TarSplitWriterOptions = {}) {
    this.#emit = emit;
    this.#segmentBytes = options.segmentBytes ?? 16 * MIB;
    this.#mostNames = options.names ?? 4 * MIB;
  }

  /** Why this tar cannot be rebuilt from its tree; what was emitted is then of no use. */
  get refused(): TarSplitRefusal | undefined {
    return this.#refused;
  }

  raw(bytes: Uint8Array): void {
    if (this.#refused !== undefined) return;
    if (!this.#inTail) {
      if (this.#filled + bytes.length > this.#segmentBytes) this.#refuse("headers", this.#current?.name ?? "");
      else this.#append(bytes);
      return;
    }
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + TAIL_SEGMENT_BYTES - this.#filled);
      this.#append(part);
      at += part.length;
      if (this.#filled === TAIL_SEGMENT_BYTES) this.#endSegment();
    }
  }

  entry(entry: TarEntry): void {
    this.#current = entry;
    if (entry.sparse !== undefined) this.#refuse("sparse", entry.name);
    this.#endSegment();
    this.#note(entry.name);
    this.#crc.reset();
  }

  data(bytes: Uint8Array): void {
    if (this.#refused === undefined) this.#crc.update(bytes);
  }

  endEntry(): void {
    const entry = this.#current;
    if (entry === undefined || this.#refused !== undefined) return;
    this.#write(fileLine(entry.name, entry.storedSize, this.#crc, this.#position++));
  }

  /** Upstream's reader reports global headers as members, so that they have an entry too. */
  globalHeader(name: string): void {
    this.#endSegment();
    this.#note(name);
    if (this.#refused === undefined) this.#write(fileLine(name, 0, this.#crc, this.#position++));
  }

  endOfArchive(): void {
    this.#endSegment();
    this.#inTail = true;
  }

  /** After the parser's `end`: emits what is left. Upstream ends with an empty segment, and so does this. */
  finish(): void {
    if (this.#refused !== undefined) return;
    this.#endSegment();
    this.#write(segmentLine(Buffer.alloc(0), this.#position++));
    this.#flush();
  }

  #refuse(reason: TarSplitRefusal["reason"], name: string): void {
    this.#refused ??= { reason, name };
    this.#seen.clear();
    this.#segment = Buffer.alloc(0);
    this.#filled = 0;
    this.#lines = "";
  }

  /** Upstream compares cleaned names; here `/a` and `../a` also are `a`, because they are the same file in a tree. */
  #note(name: string): void {
    if (this.#refused !== undefined) return;
    if (!this.#seen.add(cleanPath(`/${name}`))) this.#refuse("duplicate", name);
    else if (this.#seen.size > this.#mostNames) this.#refuse("names", name);
  }

  #append(bytes: Uint8Array): void {
    const length = this.#filled + bytes.length;
    if (length > this.#segment.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#segment.length));
      grown.set(this.#segment.subarray(0, this.#filled));
      this.#segment = grown;
    }
    this.#segment.set(bytes, this.#filled);
    this.#filled = length;
  }

  #endSegment(): void {
    if (this.#filled === 0 || this.#refused !== undefined) return;
    this.#write(segmentLine(this.#segment.subarray(0, this.#filled), this.#position++));
    this.#filled = 0;
  }

  #write(line: string): void {
    this.#lines += line;
    if (this.#lines.length >= FLUSH_UNITS) this.#flush();
  }

  #flush(): void {
    this.#emit(Buffer.from(this.#lines, "utf8"));
    this.#lines = "";
  }
}
