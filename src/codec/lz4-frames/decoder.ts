/**
 * Decodes LZ4 frames (LZ4 frame format description 1.6), any number of them, as vetu's disks have them and the `lz4` program writes them. Its
 * checksums are read over: what is decoded here has a digest, or comes out of a blob that has one, and these say more. Every byte is an
 * attacker's: no block takes more memory than its 4 MiB, twice, and no more comes out than was announced.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { ChunkReader } from "../chunk-reader.ts";
import { BLOCK_FLAWS } from "../lz4/decode-block.ts";
import { DecodeWindow } from "../lz4/decode-window.ts";

const FRAME_MAGIC = 0x184d2204;
const SKIPPABLE_MAGIC = 0x184d2a50;
const STORED_BIT = 0x80000000;
/** Of the longest header, the checksum in it included. */
const MOST_HEADER_BYTES = 15;

export interface Lz4FramesOptions {
  /** Bytes that must come out. Default: as many as there are. */
  readonly size?: number;
}

interface Frame {
  readonly linked: boolean;
  readonly blockChecksums: boolean;
  readonly contentChecksum: boolean;
  readonly contentSize: bigint | undefined;
  /** The most that a block may decode to. */
  readonly blockBytes: number;
  /** Bytes that came out before it. */
  readonly start: number;
}

type Step = "magic" | "skippable" | "descriptor" | "header" | "block header" | "block" | "stored" | "skip";

/** Give it the input with `write`, then call `end`. What failed once is not to be used again. */
export class Lz4FramesDecoder {
  readonly #window = new DecodeWindow();
  readonly #size: number | undefined;
  readonly #field = Buffer.alloc(MOST_HEADER_BYTES);
  #step: Step = "magic";
  /** What comes when as much was skipped as is needed. */
  #behind: Step = "magic";
  #need = 4;
  #have = 0;
  #frame: Frame | undefined;
  #position = 0;
  #out = 0;

  constructor({ size }: Lz4FramesOptions = {}) {
    this.#size = size;
  }

  /**
   * What the bytes decode to together with those before them, as far as blocks are whole. Each piece is lent until the next is asked for; all
   * must be taken before anything else is called.
   * @throws VarveError `COMPRESSION_INVALID`, `SIZE_MISMATCH` when more comes out than may
   */
  *write(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < chunk.length;) {
      const bytes = chunk.subarray(at, at + this.#need - this.#have);
      if (this.#step === "block") this.#window.putEncoded(bytes, this.#have);
      else if (this.#step === "stored") this.#window.append(bytes);
      else if (this.#step !== "skip") this.#field.set(bytes, this.#have);
      this.#have += bytes.length;
      this.#position += bytes.length;
      at += bytes.length;
      while (this.#have === this.#need) yield* this.#take();
    }
    yield* this.#flush();
  }

  /** No more input. @throws VarveError `COMPRESSION_INVALID` when it is cut short, `SIZE_MISMATCH` when less came out than should */
  end(): void {
    if (this.#step !== "magic" || this.#have > 0) throw this.#invalid("it is cut short");
    if (this.#size !== undefined && this.#out !== this.#size) throw this.#wrongSize();
  }

  *#take(): Generator<Uint8Array, void, undefined> {
    switch (this.#step) {
      case "magic":
        return this.#takeMagic();
      case "skippable":
        return this.#skip(this.#field.readUInt32LE(0), "magic");
      case "descriptor":
        return this.#await("header", headerBytes(this.#field[0]!), 2);
      case "header":
        return this.#takeHeader();
      case "block header":
        return yield* this.#takeBlockHeader(this.#field.readUInt32LE(0));
      case "block":
        return this.#takeBlock(this.#window.decodeBlock(this.#need, this.#frame!.blockBytes));
      case "stored":
        return this.#takeBlock(this.#need);
      case "skip":
        return this.#await(this.#behind, 4);
    }
  }

  #takeMagic(): void {
    const magic = this.#field.readUInt32LE(0);
    if (magic === FRAME_MAGIC) this.#await("descriptor", 2);
    else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) this.#await("skippable", 4);
    else throw this.#invalid("no LZ4 frame begins where one should", 4);
  }

  #takeHeader(): void {
    const [flags = 0, sizes = 0] = this.#field;
    const exponent = sizes >>> 4;
    const isKnown = flags >>> 6 === 1 && (flags & 2) === 0 && (sizes & 0x8f) === 0 && exponent >= 4;
    if (!isKnown) throw this.#invalid("a frame's header is of no known kind");
    if ((flags & 1) !== 0) throw this.#invalid("a frame needs a dictionary");
    this.#frame = {
      linked: (flags & 0x20) === 0,
      blockChecksums: (flags & 0x10) !== 0,
      contentChecksum: (flags & 0x04) !== 0,
      contentSize: (flags & 0x08) !== 0 ? this.#field.readBigUInt64LE(2) : undefined,
      blockBytes: 2 ** (8 + 2 * exponent),
      start: this.#out,
    };
    this.#window.forget();
    this.#await("block header", 4);
  }

  *#takeBlockHeader(word: number): Generator<Uint8Array, void, undefined> {
    const { blockBytes, linked } = this.#frame!;
    if (word === 0) return this.#endFrame();
    const bytes = word % STORED_BIT;
    if (bytes === 0 || bytes > blockBytes) throw this.#invalid(`a block is said to have ${bytes} bytes`, 4);
    if (!this.#window.hasRoom(blockBytes)) {
      yield* this.#flush();
    }
    this.#window.makeRoom(blockBytes, blockBytes);
    if (!linked) this.#window.forget();
    this.#await(word >= STORED_BIT ? "stored" : "block", bytes);
  }

  #takeBlock(decoded: number): void {
    if (decoded < 0) throw this.#invalid(`a block ${BLOCK_FLAWS[-decoded]}`, this.#need);
    this.#out += decoded;
    if (this.#size !== undefined && this.#out > this.#size) throw this.#wrongSize();
    if (this.#frame!.blockChecksums) this.#skip(4, "block header");
    else this.#await("block header", 4);
  }

  #endFrame(): void {
    const { contentChecksum, contentSize, start } = this.#frame!;
    if (contentSize !== undefined && contentSize !== BigInt(this.#out - start)) {
      throw this.#invalid(`a frame decodes to ${this.#out - start} instead of ${contentSize} bytes`);
    }
    if (contentChecksum) this.#skip(4, "magic");
    else this.#await("magic", 4);
  }

  *#flush(): Generator<Uint8Array, void, undefined> {
    if (this.#window.waiting > 0) yield this.#window.take();
  }

  #skip(bytes: number, behind: Step): void {
    this.#behind = behind;
    this.#await("skip", bytes);
  }

  #await(step: Step, bytes: number, have = 0): void {
    this.#step = step;
    this.#need = bytes;
    this.#have = have;
  }

  #invalid(what: string, before = 0): VarveError {
    return new VarveError("COMPRESSION_INVALID", `the LZ4 data is broken at byte ${this.#position - before}: ${what}`);
  }

  #wrongSize(): VarveError {
    const than = this.#out > this.#size! ? "more than" : `${this.#out} instead of`;
    return new VarveError("SIZE_MISMATCH", `the LZ4 data decodes to ${than} ${this.#size} bytes`);
  }
}

/** Flags, sizes, what the flags add, and a checksum. */
function headerBytes(flags: number): number {
  return 3 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0);
}

export interface DecodeLz4FramesOptions extends Lz4FramesOptions {
  readonly signal?: AbortSignal;
}

/**
 * What the source decodes to, in pieces that are lent until the next is asked for. An input without a byte has no frames, and gives nothing.
 * @throws VarveError as {@link Lz4FramesDecoder}; the source's own errors and the signal's reason as they are
 */
export async function* decodeLz4Frames(
  source: AsyncIterable<Uint8Array>,
  { signal, ...options }: DecodeLz4FramesOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  await using reader = new ChunkReader(source, signal);
  const decoder = new Lz4FramesDecoder(options);
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) yield* decoder.write(chunk);
  decoder.end();
}
