/**
 * Decodes streams of Apple LZ4 (formats "tart" §3) that come piece by piece. Every byte is an attacker's: no block takes more memory than
 * 4 MiB, no more comes out than was announced, and what is cut short, or followed by anything, is an error.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { ChunkReader } from "../chunk-reader.ts";
import { BLOCK_FLAWS } from "../lz4/decode-block.ts";
import { DecodeWindow } from "../lz4/decode-window.ts";
import { largestEncoding, MOST_BLOCK_BYTES, WINDOW_BYTES } from "../lz4/sizes.ts";
import {
  BLOCK_BYTES,
  COMPRESSED_HEADER_BYTES,
  COMPRESSED_MAGIC,
  END_MAGIC,
  MAGIC_BYTES,
  STORED_HEADER_BYTES,
  STORED_MAGIC,
} from "./format.ts";

export interface AppleLz4DecoderOptions {
  /** Bytes that must come out. Default: any number up to `atMost`. */
  readonly size?: number;
  /** Bytes that may come out. Default: as many as there are. */
  readonly atMost?: number;
  /**
   * The input is whole blocks out of the middle of streams: it may end behind any of them, and another stream may follow where one ends.
   * Default false: it is one stream, and nothing else.
   */
  readonly cut?: boolean;
  /** What came out before, for blocks from the middle of a stream: its last 64 KiB, or all. Default: nothing. */
  readonly history?: Uint8Array;
}

type Step = "magic" | "header" | "encoded" | "stored" | "ended";

/** A place between two blocks, from where decoding can begin with the 64 KiB that come out before it. */
export interface BlockBorder {
  /** Bytes of the input before it. */
  readonly encoded: number;
  /** Bytes that come out before it. */
  readonly decoded: number;
}

/** Give it the input with `write`, then call `end`. What failed once is not to be used again. */
export class AppleLz4Decoder {
  readonly #window = new DecodeWindow();
  readonly #options: AppleLz4DecoderOptions;
  readonly #most: number;
  readonly #header = new DataView(new ArrayBuffer(COMPRESSED_HEADER_BYTES));
  #step: Step = "magic";
  /** Bytes of the header, or of the block's content, that are wanted and that are here. */
  #need = MAGIC_BYTES;
  #have = 0;
  #decodedBytes = 0;
  #position = 0;
  #border: BlockBorder = { encoded: 0, decoded: 0 };
  #size = 0;

  constructor(options: AppleLz4DecoderOptions = {}) {
    this.#options = options;
    this.#most = Math.min(options.size ?? Infinity, options.atMost ?? Infinity);
    if (options.history === undefined) return;
    this.#window.append(options.history.subarray(-WINDOW_BYTES));
    this.#window.take();
  }

  /** Bytes that came out. */
  get size(): number {
    return this.#size;
  }

  /** Behind the last block that was decoded. */
  get border(): BlockBorder {
    return this.#border;
  }

  /** The stream's end was read. Always false for cut input. */
  get ended(): boolean {
    return this.#step === "ended";
  }

  /**
   * What the bytes decode to together with those before them, as far as blocks are whole. Each piece is lent until the next is asked for; all
   * must be taken before anything else is called.
   * @throws VarveError `COMPRESSION_INVALID`, `SIZE_MISMATCH` when more would come out than may
   */
  *write(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < chunk.length;) {
      if (this.#step === "ended") throw this.#invalid("something else follows its end");
      const bytes = chunk.subarray(at, at + this.#need - this.#have);
      if (this.#step === "stored") at += yield* this.#store(bytes);
      else {
        if (this.#step === "encoded") this.#window.putEncoded(bytes, this.#have);
        else new Uint8Array(this.#header.buffer).set(bytes, this.#have);
        this.#have += bytes.length;
        this.#position += bytes.length;
        at += bytes.length;
        if (this.#have === this.#need) yield* this.#take();
      }
    }
    yield* this.#flush();
  }

  /** No more input. @throws VarveError `COMPRESSION_INVALID` when it is cut short, `SIZE_MISMATCH` when less came out than should */
  end(): void {
    const mayEnd = this.#step === "ended" || (this.#options.cut === true && this.#step === "magic" && this.#have === 0);
    if (!mayEnd) throw this.#invalid("it is cut short");
    const { size = this.#size } = this.#options;
    if (size !== this.#size) throw sizeMismatch(`${this.#size} bytes instead of ${size}`);
  }

  /** The header, or the block, is whole. */
  *#take(): Generator<Uint8Array, void, undefined> {
    if (this.#step === "magic") this.#takeMagic();
    else if (this.#step === "header") yield* this.#takeHeader();
    else this.#decode();
  }

  #takeMagic(): void {
    switch (this.#word(0)) {
      case COMPRESSED_MAGIC:
        this.#step = "header";
        this.#need = COMPRESSED_HEADER_BYTES;
        break;
      case STORED_MAGIC:
        this.#step = "header";
        this.#need = STORED_HEADER_BYTES;
        break;
      case END_MAGIC:
        this.#endStream();
        break;
      default:
        throw this.#invalid("no block begins where one should", MAGIC_BYTES);
    }
  }

  #endStream(): void {
    this.#window.forget();
    this.#borderHere();
    if (this.#options.cut !== true) this.#step = "ended";
  }

  *#takeHeader(): Generator<Uint8Array, void, undefined> {
    const isStored = this.#word(0) === STORED_MAGIC;
    this.#decodedBytes = this.#word(1);
    if (this.#size + this.#decodedBytes > this.#most) {
      throw sizeMismatch(`more than ${this.#most} bytes`);
    }
    this.#have = 0;
    if (isStored) {
      this.#step = "stored";
      this.#need = this.#decodedBytes;
      if (this.#need === 0) this.#borderHere();
      return;
    }
    const encoded = this.#word(2);
    if (this.#decodedBytes > MOST_BLOCK_BYTES)
      throw this.#invalid(`a block is said to have ${this.#decodedBytes} bytes`);
    if (encoded === 0 || encoded > largestEncoding(this.#decodedBytes)) {
      throw this.#invalid(`a block of ${this.#decodedBytes} bytes is said to have ${encoded} encoded ones`);
    }
    if (!this.#window.hasRoom(this.#decodedBytes)) yield* this.#flush();
    this.#window.makeRoom(this.#decodedBytes, encoded);
    this.#step = "encoded";
    this.#need = encoded;
  }

  #decode(): void {
    const decoded = this.#window.decodeBlock(this.#need, this.#decodedBytes);
    if (decoded < 0) throw this.#invalid(`a block ${BLOCK_FLAWS[-decoded]}`, this.#need);
    if (decoded < this.#decodedBytes) throw this.#invalid("a block is shorter than it says", this.#need);
    this.#size += this.#decodedBytes;
    this.#borderHere();
  }

  /** @returns how many of the bytes were used */
  *#store(bytes: Uint8Array): Generator<Uint8Array, number, undefined> {
    const part = bytes.subarray(0, BLOCK_BYTES);
    if (!this.#window.hasRoom(part.length)) {
      yield* this.#flush();
      this.#window.makeRoom(part.length);
    }
    this.#window.append(part);
    this.#have += part.length;
    this.#position += part.length;
    this.#size += part.length;
    if (this.#have === this.#need) this.#borderHere();
    return part.length;
  }

  *#flush(): Generator<Uint8Array, void, undefined> {
    if (this.#window.waiting > 0) yield this.#window.take();
  }

  #borderHere(): void {
    this.#step = "magic";
    this.#need = MAGIC_BYTES;
    this.#have = 0;
    this.#border = { encoded: this.#position, decoded: this.#size };
  }

  #word(index: number): number {
    return this.#header.getUint32(4 * index, true);
  }

  #invalid(what: string, before = 0): VarveError {
    return new VarveError(
      "COMPRESSION_INVALID",
      `the Apple LZ4 data is broken at byte ${this.#position - before}: ${what}`,
    );
  }
}

function sizeMismatch(what: string): VarveError {
  return new VarveError("SIZE_MISMATCH", `the Apple LZ4 data decodes to ${what}`);
}

export interface DecodeAppleLz4Options extends AppleLz4DecoderOptions {
  /** Told, for each chunk of the source, of the last border in it or before it. */
  readonly onBorder?: ((border: BlockBorder) => void) | undefined;
  readonly signal?: AbortSignal;
}

/**
 * What the source decodes to, in pieces that are lent until the next is asked for. An input without a byte is no stream.
 * @throws VarveError as {@link AppleLz4Decoder}; the source's own errors and the signal's reason as they are
 */
export async function* decodeAppleLz4(
  source: AsyncIterable<Uint8Array>,
  { signal, onBorder, ...options }: DecodeAppleLz4Options = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  await using reader = new ChunkReader(source, signal);
  const decoder = new AppleLz4Decoder(options);
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
    yield* decoder.write(chunk);
    onBorder?.(decoder.border);
  }
  decoder.end();
}
