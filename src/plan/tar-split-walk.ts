/**
 * Walks a tar-split beside the table of contents of its layer, and tells what the tar is made of, in its order. On a first walk it compares the two member
 * by member (formats "zstd-chunked" §2, step 2): a layer of which they tell different stories is not planned.
 */
import type { TarSplitEntry, TarSplitFileEntry } from "../codec/tar-split/entry.ts";
import { TarSplitParser } from "../codec/tar-split/parser.ts";
import type { TarEntry } from "../codec/tar/entry.ts";
import { quoted } from "../codec/tar/fault.ts";
import { TarParser } from "../codec/tar/parser.ts";
import { sumOfTarEntry } from "../codec/zstd-chunked/member-sum.ts";
import type { ChunkedToc } from "../codec/zstd-chunked/toc.ts";
import { VarveError } from "../errors/varve-error.ts";

export interface WalkOptions {
  /** Whether the table of contents is compared with the tar. What was compared once need not be again. */
  readonly compare: boolean;
  /** Headers, padding, what stands behind the last member. */
  readonly onHeaders: (bytes: Uint8Array) => void;
  /** The piece that is all of a file's content: it may be half a million chunks, so these are the caller's to tell. */
  readonly onFile: (whole: number) => void;
}

/** `write` the decompressed tar-split in pieces of any size, then `end`. */
export class TarSplitWalk {
  readonly #toc: ChunkedToc;
  readonly #options: WalkOptions;
  readonly #lines: TarSplitParser;
  readonly #headers: HeaderCheck | undefined;
  #likely = 0;

  constructor(toc: ChunkedToc, options: WalkOptions) {
    this.#toc = toc;
    this.#options = options;
    this.#lines = new TarSplitParser((entry) => this.#take(entry));
    this.#headers = options.compare ? new HeaderCheck(toc) : undefined;
  }

  /** @throws TAR_SPLIT_INVALID, LAYER_INVALID, LAYER_LIMIT; TOC_INVALID when they disagree */
  write(chunk: Uint8Array): void {
    this.#lines.write(chunk);
  }

  end(): void {
    this.#lines.end();
    this.#headers?.end();
  }

  #take(entry: TarSplitEntry): void {
    if (entry.type === "segment") {
      if (entry.bytes.length === 0) return;
      this.#headers?.segment(entry.bytes);
      this.#options.onHeaders(entry.bytes);
      return;
    }
    const member = this.#toc.find(entry.name, this.#likely);
    if (member < 0) throw disagree(entry.name, "which only the tar has");
    this.#likely = member + 1;
    this.#headers?.file(entry, member);
    if (entry.size === 0) return;
    const whole = this.#toc.pieceOf(member);
    if (whole === undefined || this.#toc.pieces.size(whole) !== entry.size) throw disagree(entry.name, "its size");
    this.#options.onFile(whole);
  }
}

/** Holds the tar's headers to the entries of the table of contents. */
class HeaderCheck {
  readonly #toc: ChunkedToc;
  readonly #parser: TarParser;
  readonly #seen: Uint8Array;
  #left: number;
  #member: TarEntry | undefined;

  constructor(toc: ChunkedToc) {
    this.#toc = toc;
    this.#seen = new Uint8Array(toc.entries);
    this.#left = toc.entries;
    this.#parser = new TarParser({
      entry: (entry) => {
        if (this.#member !== undefined) throw disagree(entry.name, "of which the tar-split does not know");
        this.#member = entry;
      },
      data: () => {
        throw disagree(this.#member?.name ?? "", "whose content stands among the headers");
      },
      endEntry: () => undefined,
    });
  }

  /** Headers and padding, up to the next content. */
  segment(bytes: Uint8Array): void {
    this.#parser.write(bytes);
  }

  file(file: TarSplitFileEntry, entry: number): void {
    const member = this.#member;
    this.#member = undefined;
    if (member === undefined || member.name !== file.name)
      throw disagree(file.name, "whose header is not where it should be");
    if (member.sparse !== undefined) throw disagree(file.name, "which is sparse");
    if (member.storedSize !== file.size) throw disagree(file.name, "its size");
    if (this.#toc.sum(entry) !== sumOfTarEntry(member)) throw disagree(file.name, "its metadata");
    if (this.#seen[entry] === 1) throw disagree(file.name, "which the tar has twice");
    this.#seen[entry] = 1;
    this.#left--;
    this.#parser.skip(file.size);
  }

  end(): void {
    this.#parser.end();
    if (this.#left > 0) {
      const entry = this.#seen.indexOf(0);
      throw new VarveError("TOC_INVALID", `the tar lacks ${this.#left} of the table's entries`, { detail: { entry } });
    }
  }
}

function disagree(name: string, what: string): VarveError {
  return new VarveError("TOC_INVALID", `the table of contents and the tar disagree about ${quoted(name)}: ${what}`);
}
