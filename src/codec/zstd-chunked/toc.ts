/**
 * The table of contents of a zstd:chunked layer in podman's dialect (formats "zstd-chunked" §1.3), read as it streams by into columns: no object
 * for an entry, so that half a million fit. Its places are checked here; what it says of files is compared with the tar by whoever plans.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { Column } from "./columns.ts";
import { sumOfTocEntry } from "./member-sum.ts";
import { checkApart } from "./piece-order.ts";
import { parseTocEntry, type TocEntry } from "./toc-entry.ts";
import { TocGrowth, type TocReadOptions } from "./toc-growth.ts";
import { TocNames } from "./toc-names.ts";
import { TocPieces } from "./toc-pieces.ts";
import { TocScanner } from "./toc-scanner.ts";

export const MAX_TOC_ENTRIES = 500_000;

const NO_PIECE = 0xffff_ffff;

export interface ChunkedToc {
  readonly kind: "podman";
  /** Of the compressed tar-split; early images have none. */
  readonly tarSplitDigest: Digest | undefined;
  /** Members of the tar. */
  readonly entries: number;
  readonly pieces: TocPieces;
  /** Where the frames end that the tar is made of. */
  readonly dataEnd: number;
  /** The entry of a name, as the tar spells it; -1 when there is none. @param likely the entry that it probably is */
  find(name: string, likely: number): number;
  /** A sum over what is said of the entry, to be compared with `sumOfTarEntry`. */
  sum(entry: number): number;
  /** The piece that is all of the entry's content; undefined when it has none. */
  pieceOf(entry: number): number | undefined;
}

/**
 * Reads the document, decompressed, in pieces of any size.
 * @param dataEnd where the frames with the tar end: the blob's byte at which the first skippable frame begins
 * @throws TOC_INVALID, or TOC_LIMIT when it has more entries, or 48 MiB of names; the source's errors
 */
export async function readChunkedToc(
  source: AsyncIterable<Uint8Array>,
  dataEnd: number,
  options: TocReadOptions = {},
): Promise<ChunkedToc> {
  const builder = new ChunkedTocBuilder(dataEnd, options);
  const scanner = new TocScanner(builder);
  for await (const chunk of source) scanner.write(chunk);
  scanner.end();
  return builder.finish();
}

/** A file whose chunks are being read. */
interface OpenFile {
  readonly name: string;
  readonly owner: number;
  readonly size: number;
  readonly endOffset: number;
  /** Bytes of the file that the chunks so far make. */
  made: number;
  /** The last chunk's piece. */
  last: number;
  lastOffset: number;
}

class ChunkedTocBuilder {
  readonly #dataEnd: number;
  readonly #mostEntries: number;
  readonly #names = new TocNames();
  readonly #sums = new Column("f64");
  readonly #firstPieces = new Column("u32");
  readonly #pieces = new TocPieces((owner) => this.#names.get(owner));
  readonly #growth: TocGrowth;
  #number = 0;
  #version: unknown;
  #tarSplitDigest: unknown;
  #open: OpenFile | undefined;

  constructor(dataEnd: number, options: TocReadOptions) {
    this.#dataEnd = dataEnd;
    this.#mostEntries = options.mostEntries ?? MAX_TOC_ENTRIES;
    const columns = [this.#names, this.#sums, this.#firstPieces, this.#pieces];
    this.#growth = new TocGrowth(() => columns.reduce((sum, { bytes }) => sum + bytes, 0), options);
  }

  field(name: string, value: unknown): void {
    if (name === "version") this.#version = value;
    else if (name === "tarSplitDigest") this.#tarSplitDigest = value;
  }

  entry(value: unknown): void {
    if (++this.#number > this.#mostEntries) {
      throw new VarveError("TOC_LIMIT", `the layer's table of contents has more than ${this.#mostEntries} entries`);
    }
    this.#growth.entry();
    const entry = parseTocEntry(value, this.#number);
    if (entry.type === "chunk") return this.#chunk(entry);
    this.#closeFile();
    this.#names.push(entry.name);
    this.#sums.push(sumOfTocEntry(entry));
    this.#firstPieces.push(entry.type === "reg" && entry.size > 0 ? this.#file(entry) : NO_PIECE);
  }

  finish(): ChunkedToc {
    this.#closeFile();
    if (this.#version !== 1) throw invalid("is of no known version");
    const digest = this.#tarSplitDigest ?? "";
    if (digest !== "" && !isDigest(digest)) throw invalid("has an impossible tarSplitDigest");
    this.#growth.tell();
    this.#names.index();
    const [names, sums, firstPieces, pieces] = [this.#names, this.#sums, this.#firstPieces, this.#pieces];
    checkApart(pieces);
    return {
      kind: "podman",
      tarSplitDigest: digest === "" ? undefined : digest,
      entries: names.length,
      pieces,
      dataEnd: this.#dataEnd,
      find: (name, likely) => names.find(name, likely),
      sum: (entry) => sums.get(entry),
      pieceOf: (entry) => (firstPieces.get(entry) === NO_PIECE ? undefined : firstPieces.get(entry)),
    };
  }

  #file(entry: TocEntry): number {
    const { size, offset, endOffset, chunkSize, digest } = entry;
    const owner = this.#names.length - 1;
    if (offset >= endOffset || endOffset > this.#dataEnd) throw this.#invalid("lies outside of the layer's data");
    if (entry.chunkOffset !== 0 || chunkSize > size) throw this.#invalid("has a first chunk that does not fit it");
    const hasChunks = chunkSize > 0 && chunkSize < size;
    const piece = { owner, start: 0, size, offset, end: endOffset };
    const whole = this.#pieces.push({ ...piece, digest, hasChunks, isZeros: !hasChunks && entry.isZeros });
    if (!hasChunks) return whole;
    const { chunkDigest, isZeros } = entry;
    const last = this.#pieces.push({ ...piece, size: chunkSize, digest: chunkDigest, end: Number.NaN, isZeros });
    this.#open = { name: entry.name, owner, size, endOffset, made: chunkSize, last, lastOffset: offset };
    return whole;
  }

  #chunk({ name, offset, chunkOffset, chunkSize, chunkDigest, isZeros }: TocEntry): void {
    const file = this.#open;
    if (file === undefined || file.name !== name) throw this.#invalid("is a chunk that follows no other of its file");
    const fits = chunkOffset === file.made && chunkSize > 0 && chunkOffset + chunkSize <= file.size;
    if (!fits || offset <= file.lastOffset || offset >= file.endOffset) {
      throw this.#invalid("is a chunk with a gap before it, or that overlaps another");
    }
    this.#pieces.setEnd(file.last, offset);
    const { owner, endOffset: end } = file;
    file.last = this.#pieces.push({
      owner,
      start: chunkOffset,
      size: chunkSize,
      digest: chunkDigest,
      offset,
      end,
      isZeros,
    });
    file.lastOffset = offset;
    file.made += chunkSize;
  }

  #closeFile(): void {
    const file = this.#open;
    if (file === undefined) return;
    if (file.made !== file.size) throw this.#invalid("comes after a file of which chunks are missing");
    this.#open = undefined;
  }

  #invalid(what: string): VarveError {
    return invalid(`is broken: entry ${this.#number} ${what}`);
  }
}

function invalid(what: string): VarveError {
  return new VarveError("TOC_INVALID", `the layer's table of contents ${what}`);
}
