/**
 * The table of contents of an eStargz layer, and of nerdctl's zstd:chunked (formats "estargz" §2), as far as it helps to fetch less: a member that
 * holds a chunk of a file and is followed by a member with that file's next chunk holds nothing else. Of those the size is known, and they need
 * not come from the blob. All other members have headers of the tar in them, which are nowhere else.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { parseTocEntry, type TocEntry } from "../zstd-chunked/toc-entry.ts";
import { checkApart } from "../zstd-chunked/piece-order.ts";
import { TocGrowth, type TocReadOptions } from "../zstd-chunked/toc-growth.ts";
import { TocNames } from "../zstd-chunked/toc-names.ts";
import { TocPieces } from "../zstd-chunked/toc-pieces.ts";
import { TocScanner } from "../zstd-chunked/toc-scanner.ts";
import { MAX_TOC_ENTRIES } from "../zstd-chunked/toc.ts";

/** The name that a table of contents has in the tar, which is nobody else's. */
export const ESTARGZ_TOC_NAME = "stargz.index.json";

export interface MemberToc {
  /** Files that have such chunks, and these chunks. */
  readonly pieces: TocPieces;
  /** Where the members end that the table tells of. */
  readonly dataEnd: number;
}

/**
 * Reads the document, decompressed, in pieces of any size.
 * @param dataEnd where the last member ends that has something of a file in it
 * @throws TOC_INVALID, or TOC_LIMIT when it has more than half a million entries or 48 MiB of names; the source's errors
 */
export async function readMemberToc(
  source: AsyncIterable<Uint8Array>,
  dataEnd: number,
  options: TocReadOptions = {},
): Promise<MemberToc> {
  const reader = new MemberTocReader(dataEnd, options);
  for await (const chunk of source) reader.write(chunk);
  return reader.finish();
}

interface OpenFile {
  readonly entry: TocEntry;
  /** Set once it has a piece. */
  owner?: number;
  whole?: number;
  /** The chunk that came last. */
  last: { readonly offset: number; readonly innerOffset: number; readonly start: number; readonly chunk: TocEntry };
}

/** `write` the document, then `finish`. */
export class MemberTocReader {
  readonly #dataEnd: number;
  readonly #names = new TocNames();
  readonly #pieces = new TocPieces((owner) => this.#names.get(owner));
  readonly #scanner = new TocScanner({
    entry: (value) => this.#entry(value),
    field: (name, value) => this.#field(name, value),
  });
  readonly #mostEntries: number;
  readonly #growth: TocGrowth;
  #number = 0;
  #version: unknown;
  #file: OpenFile | undefined;
  #lastOffset = 0;

  constructor(dataEnd: number, options: TocReadOptions = {}) {
    this.#dataEnd = dataEnd;
    this.#mostEntries = options.mostEntries ?? MAX_TOC_ENTRIES;
    this.#growth = new TocGrowth(() => this.#names.bytes + this.#pieces.bytes, options);
  }

  write(chunk: Uint8Array): void {
    this.#scanner.write(chunk);
  }

  finish(): MemberToc {
    this.#scanner.end();
    if (this.#version !== 1) throw invalid("is of no known version");
    this.#growth.tell();
    checkApart(this.#pieces);
    return { pieces: this.#pieces, dataEnd: this.#dataEnd };
  }

  #field(name: string, value: unknown): void {
    if (name === "version") this.#version = value;
  }

  #entry(value: unknown): void {
    if (++this.#number > this.#mostEntries) {
      throw new VarveError("TOC_LIMIT", `the layer's table of contents has more than ${this.#mostEntries} entries`);
    }
    this.#growth.entry();
    const entry = parseTocEntry(value, this.#number);
    if (entry.type === "chunk") return this.#chunk(entry);
    this.#file = undefined;
    if (entry.name === ESTARGZ_TOC_NAME) throw this.#invalid("names the table of contents itself");
    if (entry.type !== "reg" || entry.size === 0) return;
    if (entry.chunkDigest === undefined && (entry.digest === undefined || entry.chunkSize !== 0)) {
      throw this.#invalid("has content without a digest");
    }
    if (entry.chunkOffset !== 0 || entry.chunkSize > entry.size)
      throw this.#invalid("has a first chunk that does not fit it");
    this.#place(entry);
    const { offset, innerOffset } = entry;
    this.#file = { entry, last: { offset, innerOffset, start: 0, chunk: entry } };
  }

  #chunk(chunk: TocEntry): void {
    const file = this.#file;
    if (file === undefined) throw this.#invalid("is a chunk of no file");
    const { offset, innerOffset, chunkOffset: start, chunkSize } = chunk;
    const { last } = file;
    const size = start - last.start;
    const said = last.chunk.chunkSize;
    if (size <= 0 || (said !== 0 && said !== size) || start + Math.max(1, chunkSize) > file.entry.size) {
      throw this.#invalid("is a chunk with a gap before it, or that overlaps another");
    }
    if (chunk.chunkDigest === undefined || last.chunk.chunkDigest === undefined)
      throw this.#invalid("is a chunk without a digest");
    this.#place(chunk);
    // Several chunks in one member cannot be fetched apart.
    if (last.innerOffset === 0 && innerOffset === 0 && offset > last.offset) this.#innerChunk(file, size, offset);
    file.last = { offset, innerOffset, start, chunk };
  }

  /** The last chunk fills its member, which ends at `end`. */
  #innerChunk(file: OpenFile, size: number, end: number): void {
    const { entry, last } = file;
    if (file.owner === undefined) {
      this.#names.push(entry.name);
      file.owner = this.#names.length - 1;
      const { digest, size: whole } = entry;
      file.whole = this.#pieces.push({
        owner: file.owner,
        start: 0,
        size: whole,
        digest,
        offset: last.offset,
        end,
        hasChunks: true,
      });
    }
    const { start, offset, chunk } = last;
    this.#pieces.push({ owner: file.owner, start, size, digest: chunk.chunkDigest, offset, end });
    this.#pieces.setEnd(file.whole!, end);
  }

  /** Writers go forward only, and several entries share a member only where they say so. */
  #place({ offset, innerOffset }: TocEntry): void {
    const goesOn = offset > this.#lastOffset || (offset === this.#lastOffset && (innerOffset > 0 || offset === 0));
    if (!goesOn || offset >= this.#dataEnd)
      throw this.#invalid("lies outside of the layer's data, or where another one lies");
    this.#lastOffset = offset;
  }

  #invalid(what: string): VarveError {
    return invalid(`is broken: entry ${this.#number} ${what}`);
  }
}

function invalid(what: string): VarveError {
  return new VarveError("TOC_INVALID", `the layer's table of contents ${what}`);
}
