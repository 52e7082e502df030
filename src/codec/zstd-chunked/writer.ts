/**
 * Writes zstd:chunked in podman's dialect (formats "zstd-chunked" §1): the tar's bytes go in, the blob's come out, and at the end the
 * annotations are known by which the layer can be fetched in parts. The blob decompresses to exactly the tar. Where a table of contents could
 * not say what the tar says, the blob becomes ordinary zstd from there on, and it is told why.
 */
import { digestOf } from "../../oci/digest.ts";
import type { TarEntry, TarHandler, TarLimits } from "../tar/entry.ts";
import { TarParser } from "../tar/parser.ts";
import { MAX_SEGMENT_BYTES } from "../tar-split/parser.ts";
import { TarSplitWriter, type TarSplitRefusal } from "../tar-split/writer.ts";
import { formatZstdChunkedAnnotations, type DocumentPlace } from "./annotations.ts";
import { CompressedDocument } from "./compressed-document.ts";
import { formatZstdChunkedFooter, skippableHeader, SKIPPABLE_HEADER_BYTES } from "./footer.ts";
import { FrameWriter } from "./frame-writer.ts";
import { PayloadWriter } from "./payload-writer.ts";
import { chunkLine, tocLine, whyNotInToc } from "./toc-line.ts";

/** What podman reads of a table of contents at most, bytes, less what ends one; tar-splits are held to it compressed. */
const MOST_TOC_BYTES = (150 << 20) - 1024;
const FLUSH_UNITS = 64 * 1024;

/** Why a layer became ordinary zstd. */
export interface ChunkedRefusal {
  /**
   * `duplicate`: two members of one name. `sparse`: a sparse member. `member`: one that tables of contents have no words for. `size`: more
   * members or chunks than a table of contents may have.
   */
  readonly reason: "duplicate" | "sparse" | "member" | "size";
  /** The member at which it was found out. */
  readonly name: string;
  readonly message: string;
}

export interface ChunkedLayer {
  /** Members of the tar. */
  readonly entries: number;
  /** For the layer's descriptor; undefined when the blob is ordinary zstd. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly refused: ChunkedRefusal | undefined;
}

export interface ZstdChunkedWriterOptions {
  /** 1 ... 19. */
  readonly level: number;
  readonly limits?: TarLimits;
  /** Chunks that one file may have. Default 262,144: 16 GiB of ordinary content. */
  readonly mostChunks?: number;
}

/** Give it the tar with `write`, then call `end`. */
export class ZstdChunkedWriter implements Disposable {
  readonly #frames: FrameWriter;
  readonly #payload: PayloadWriter;
  readonly #parser: TarParser;
  readonly #tarSplit: TarSplitWriter;
  readonly #toc: CompressedDocument;
  readonly #split: CompressedDocument;
  #lines = '{"version":1,"entries":[';
  #hasEntries = false;
  #current: TarEntry | undefined;
  #name = "";
  #refused: ChunkedRefusal | undefined;

  /** @param emit is lent the blob's bytes, for the time of the call */
  constructor(emit: (bytes: Uint8Array) => void, { level, limits, mostChunks }: ZstdChunkedWriterOptions) {
    this.#frames = new FrameWriter(level, emit);
    this.#payload = new PayloadWriter(this.#frames, mostChunks);
    this.#toc = new CompressedDocument(level);
    this.#split = new CompressedDocument(level);
    this.#tarSplit = new TarSplitWriter((lines) => this.#split.add(lines), { segmentBytes: MAX_SEGMENT_BYTES });
    this.#parser = new TarParser(this.#handler(), limits);
  }

  /** Takes the next bytes of the tar, which are lent until it settles. @throws LAYER_INVALID, LAYER_LIMIT */
  async write(tar: Uint8Array): Promise<void> {
    this.#parser.write(tar);
    await this.#settle();
  }

  /** The tar is over. @throws LAYER_INVALID */
  async end(): Promise<ChunkedLayer> {
    this.#parser.end();
    this.#frames.border();
    const { entries } = this.#parser;
    if (this.#refused === undefined) {
      this.#tarSplit.finish();
      this.#takeRefusal();
      this.#flush();
      await this.#settle();
    }
    const annotations = this.#refused === undefined ? await this.#writeDocuments() : undefined;
    return { entries, annotations, refused: this.#refused };
  }

  [Symbol.dispose](): void {
    this.#frames[Symbol.dispose]();
    this.#toc[Symbol.dispose]();
    this.#split[Symbol.dispose]();
  }

  async #settle(): Promise<void> {
    if (this.#refused !== undefined) return;
    await this.#split.settle();
    await this.#toc.settle();
    const isTooLarge = this.#toc.size > MOST_TOC_BYTES || this.#split.compressedSize > MOST_TOC_BYTES;
    if (isTooLarge) this.#refuse("size", "its table of contents would be larger than 150 MiB");
  }

  #handler(): TarHandler {
    return {
      raw: (bytes) => {
        this.#frames.write(bytes);
        if (this.#refused === undefined) this.#tarSplit.raw(bytes);
      },
      entry: (entry) => this.#beginMember(entry),
      data: (bytes) => {
        if (this.#refused !== undefined) return this.#frames.write(bytes);
        this.#tarSplit.data(bytes);
        this.#payload.data(bytes);
      },
      endEntry: () => this.#endMember(),
      globalHeader: (name) => {
        this.#name = name;
        this.#refuse("member", "it has a global PAX header");
      },
      endOfArchive: () => {
        if (this.#refused === undefined) this.#tarSplit.endOfArchive();
      },
    };
  }

  #beginMember(entry: TarEntry): void {
    this.#current = entry;
    this.#name = entry.name;
    if (this.#refused !== undefined) return;
    this.#tarSplit.entry(entry);
    this.#takeRefusal();
    const why = whyNotInToc(entry);
    if (why !== undefined) this.#refuse("member", `it has ${why}`);
    if (this.#refused !== undefined || entry.storedSize === 0) return;
    this.#frames.border();
    this.#payload.begin(entry.storedSize);
  }

  #endMember(): void {
    const entry = this.#current;
    if (entry === undefined || this.#refused !== undefined) return;
    this.#tarSplit.endEntry();
    this.#takeRefusal();
    if (this.#payload.tooMany && entry.storedSize > 0) this.#refuse("size", "a file of it has too many chunks");
    if (this.#refused !== undefined) return;
    const written = entry.storedSize === 0 ? undefined : this.#payload.end();
    this.#line(tocLine(entry, written?.content));
    for (const chunk of written?.moreChunks ?? []) this.#line(chunkLine(entry.name, chunk));
  }

  #line(line: string): void {
    this.#lines += this.#hasEntries ? `,${line}` : line;
    this.#hasEntries = true;
    if (this.#lines.length >= FLUSH_UNITS) this.#flush();
  }

  #flush(): void {
    if (this.#refused !== undefined) return;
    this.#toc.add(Buffer.from(this.#lines));
    this.#lines = "";
  }

  #takeRefusal(): void {
    const refused = this.#tarSplit.refused;
    if (refused === undefined) return;
    this.#name = refused.name;
    this.#refuse(...REFUSALS[refused.reason]);
  }

  #refuse(reason: ChunkedRefusal["reason"], message: string): void {
    if (this.#refused !== undefined) return;
    this.#refused = { reason, name: this.#name, message };
    this.#payload.giveUp();
    this.#toc[Symbol.dispose]();
    this.#split[Symbol.dispose]();
    this.#lines = "";
  }

  /** What follows the tar in the blob. @returns the annotations */
  async #writeDocuments(): Promise<Record<string, string>> {
    const split = await this.#split.end();
    this.#lines += `],"tarSplitDigest":"${digestOf(split)}"}`;
    this.#flush();
    const toc = await this.#toc.end();
    const places = { toc: this.#append(toc, this.#toc.size), tarSplit: this.#append(split, this.#split.size) };
    this.#frames.append(formatZstdChunkedFooter({ dialect: "podman", ...places }));
    return formatZstdChunkedAnnotations({ dialect: "podman", tocDigest: digestOf(toc), ...places });
  }

  #append(document: Uint8Array, uncompressed: number): DocumentPlace {
    const offset = this.#frames.offset + SKIPPABLE_HEADER_BYTES;
    this.#frames.append(skippableHeader(document.length));
    this.#frames.append(document);
    return { offset, compressed: document.length, uncompressed };
  }
}

const REFUSALS: Readonly<
  Record<TarSplitRefusal["reason"], readonly [reason: ChunkedRefusal["reason"], message: string]>
> = {
  duplicate: ["duplicate", "it has two members of the same name"],
  sparse: ["sparse", "it has a sparse file"],
  headers: ["size", "the headers of a member are too large"],
  names: ["size", "it has too many names"],
};
