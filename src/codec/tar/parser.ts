/**
 * Reads a tar as it streams by: push-style, synchronous, nothing copied but names and what a chunk border cuts. Every
 * input byte goes out once, in order, as payload (`data`) or as anything else (`raw`), so that tar-split can rebuild
 * the exact stream. POSIX ustar and PAX, GNU, STAR and v7 are read; every doubt is settled as Go's archive/tar does.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { BLOCK, blockSum, dialectOf, paddingOf } from "./block.ts";
import type { TarHandler, TarLimits } from "./entry.ts";
import { invalid, overLimit } from "./fault.ts";
import { FLAG, isExtension } from "./member-type.ts";
import { checkHeaderSize, PendingExtensions } from "./pending.ts";
import { checkBlock, newBlock, readHeader, type Draft } from "./read-header.ts";
import {
  checkEnd,
  DATA,
  DEFAULT_LIMITS,
  EXTENSION,
  HEADER,
  PADDING,
  SECOND_ZERO_BLOCK,
  SPARSE,
  TRAILER,
  type State,
} from "./parser-state.ts";
import { beginSparse, type SparseMember } from "./sparse-member.ts";

/**
 * One archive's reader: `write` its bytes in chunks of any size, then `end`. The handler is called meanwhile; what it
 * throws passes through and, like an error of the archive, ends the parser.
 */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #limits: Required<TarLimits>;
  readonly #pending: PendingExtensions;
  #state: State = HEADER;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;
  #entries = 0;

  // The chunk at hand: its bytes, its start in the archive, the next byte, and the first byte not yet given to `raw`.
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #base = 0;
  #at = 0;
  #rawFrom = 0;

  // A block or an extension that a chunk border cuts is put together here.
  readonly #block = newBlock();
  #scratch: Buffer = Buffer.alloc(0);
  #filled = 0;

  // The member at hand.
  #draft: Draft | undefined;
  #extensionFlag = 0;
  #extensionName = "";
  #memberAt = 0;
  #remaining = 0;
  #padding = 0;
  #sparse: SparseMember | undefined;

  constructor(handler: TarHandler, limits: TarLimits = {}) {
    this.#handler = handler;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#pending = new PendingExtensions(this.#limits.nameBytes);
  }

  /** Bytes taken so far. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Members reported so far. */
  get entries(): number {
    return this.#entries;
  }

  /** How much of the current member's payload is still to come; 0 outside of payload. */
  get payloadLeft(): number {
    return this.#state === DATA ? this.#remaining : 0;
  }

  /** Whether the end of the archive was seen; what follows it is no tar. */
  get archiveEnded(): boolean {
    return this.#state === TRAILER;
  }

  /**
   * Passes over payload that the caller did not read, which is what an index of the archive needs.
   * @param length bytes, at most `payloadLeft`; the next bytes written are those behind them
   */
  skip(length: number): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (length > this.payloadLeft) throw new VarveError("INTERNAL", "only payload can be passed over");
    if (length === 0) return;
    this.#base += length;
    this.#remaining -= length;
    this.#handler.skip?.(length);
    if (this.#remaining === 0) this.#endMember();
  }

  /** Takes the next bytes. @throws LAYER_INVALID, LAYER_LIMIT */
  write(chunk: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      if (this.#ended) throw invalid("bytes follow the end of the stream", this.offset);
      this.#base += this.#at;
      this.#bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      this.#at = 0;
      this.#rawFrom = 0;
      while (this.#at < this.#bytes.length) this.#step();
      this.#flushRaw();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  /** The stream is over. @throws LAYER_INVALID when a header, a map or a payload is cut short. */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#ended) return;
    try {
      checkEnd(this.#state, { filled: this.#filled, remaining: this.#remaining, offset: this.offset });
      this.#ended = true;
      if (this.#state !== TRAILER) this.#handler.endOfArchive?.();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  #step(): void {
    switch (this.#state) {
      case HEADER:
      case SECOND_ZERO_BLOCK:
      case SPARSE:
        this.#stepBlock();
        break;
      case EXTENSION:
        this.#stepExtension();
        break;
      case DATA:
        this.#stepData();
        break;
      case PADDING:
        this.#stepPadding();
        break;
      case TRAILER:
        this.#at = this.#bytes.length;
    }
  }

  #stepBlock(): void {
    const start = this.#at;
    if (this.#filled === 0 && this.#bytes.length - start >= BLOCK) {
      this.#at = start + BLOCK;
      this.#takeBlock(this.#bytes, this.#view, start);
      return;
    }
    const taken = this.#bytes.copy(this.#block.bytes, this.#filled, start, start + BLOCK - this.#filled);
    this.#filled += taken;
    this.#at = start + taken;
    if (this.#filled < BLOCK) return;
    this.#filled = 0;
    this.#takeBlock(this.#block.bytes, this.#block.view, 0);
  }

  #takeBlock(bytes: Buffer, view: DataView, at: number): void {
    if (this.#state === SPARSE) this.#takeSparseBlock(bytes, at);
    else this.#takeHeader(bytes, view, at);
  }

  #takeHeader(bytes: Buffer, view: DataView, at: number): void {
    const offset = this.offset - BLOCK;
    if (this.#state === SECOND_ZERO_BLOCK) {
      if (blockSum(view, at) !== 0) throw invalid("data follows a single block of zeros", offset);
      this.#flushRaw();
      this.#state = TRAILER;
      this.#handler.endOfArchive?.();
      return;
    }
    if (!checkBlock(bytes, view, at, offset)) {
      this.#state = SECOND_ZERO_BLOCK;
      return;
    }
    const draft = readHeader(bytes, at, offset);
    checkHeaderSize(draft, offset);
    this.#memberAt = offset;
    if (isExtension(draft.typeFlag)) this.#beginExtension(draft);
    else this.#beginMember(draft, bytes, at);
  }

  #beginExtension(draft: Draft): void {
    const size = draft.storedSize;
    if (size > this.#limits.extensionBytes) {
      const limit = this.#limits.extensionBytes;
      throw overLimit(`an extension header of ${size} bytes passes the limit of ${limit}`, this.#memberAt);
    }
    this.#extensionFlag = draft.typeFlag;
    this.#extensionName = draft.name;
    this.#remaining = size;
    this.#padding = paddingOf(size);
    this.#state = EXTENSION;
    if (size === 0) this.#endExtension(this.#bytes, this.#at, this.#at);
  }

  #stepExtension(): void {
    const start = this.#at;
    const size = this.#remaining;
    if (this.#filled === 0 && this.#bytes.length - start >= size) {
      this.#at = start + size;
      this.#endExtension(this.#bytes, start, this.#at);
      return;
    }
    if (this.#scratch.length < size) this.#scratch = Buffer.allocUnsafeSlow(size);
    const taken = this.#bytes.copy(this.#scratch, this.#filled, start, start + size - this.#filled);
    this.#filled += taken;
    this.#at = start + taken;
    if (this.#filled < size) return;
    this.#filled = 0;
    this.#endExtension(this.#scratch, 0, size);
  }

  #endExtension(bytes: Buffer, from: number, to: number): void {
    this.#pending.add(this.#extensionFlag, bytes, from, to, this.#memberAt + BLOCK);
    this.#state = this.#padding > 0 ? PADDING : HEADER;
    this.#remaining = this.#padding;
    if (this.#extensionFlag !== FLAG.globalHeader) return;
    this.#flushRaw();
    this.#handler.globalHeader?.(this.#extensionName);
  }

  #beginMember(draft: Draft, bytes: Buffer, at: number): void {
    const offset = this.#memberAt;
    const pax = this.#pending.pax;
    this.#pending.mergeInto(draft, offset);
    this.#pending.clear();
    this.#padding = paddingOf(draft.storedSize);
    const isSparse = draft.typeFlag === FLAG.gnuSparse || pax !== undefined;
    if (isSparse) {
      const context = { dialect: dialectOf(bytes, at), pax, limit: this.#limits.sparseExtents, offset };
      this.#sparse = beginSparse(draft, context, bytes, at);
      this.#pending.checkName(draft.name, offset);
    }
    if (this.#sparse === undefined) {
      this.#emit(draft);
      return;
    }
    this.#draft = draft;
    this.#state = SPARSE;
  }

  #takeSparseBlock(bytes: Buffer, at: number): void {
    const draft = this.#draft;
    if (draft === undefined || this.#sparse?.takeBlock(bytes, at) !== true) return;
    this.#draft = undefined;
    this.#sparse = undefined;
    this.#emit(draft);
  }

  #emit(draft: Draft): void {
    if (++this.#entries > this.#limits.entries) {
      throw overLimit(`the archive passes the limit of ${this.#limits.entries} members`, this.#memberAt);
    }
    this.#flushRaw();
    this.#remaining = draft.storedSize;
    this.#handler.entry(draft);
    if (this.#remaining > 0) this.#state = DATA;
    else this.#endMember();
  }

  #stepData(): void {
    const start = this.#at;
    const end = Math.min(this.#bytes.length, start + this.#remaining);
    this.#remaining -= end - start;
    this.#at = end;
    this.#rawFrom = end;
    this.#handler.data(this.#bytes.subarray(start, end));
    if (this.#remaining === 0) this.#endMember();
  }

  #endMember(): void {
    this.#handler.endEntry();
    this.#state = this.#padding > 0 ? PADDING : HEADER;
    this.#remaining = this.#padding;
  }

  #stepPadding(): void {
    const end = Math.min(this.#bytes.length, this.#at + this.#remaining);
    this.#remaining -= end - this.#at;
    this.#at = end;
    if (this.#remaining === 0) this.#state = HEADER;
  }

  #flushRaw(): void {
    if (this.#rawFrom < this.#at) this.#handler.raw?.(this.#bytes.subarray(this.#rawFrom, this.#at));
    this.#rawFrom = this.#at;
  }
}
