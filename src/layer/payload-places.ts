/**
 * Where the payload of each member lies: in the tar itself, as a rule. An EROFS file starts at a block of 512 bytes, as payload in a tar
 * does, and its last block is read whole: it must be there, and what follows the file in it must be zeros, or programs would see it
 * through mmap (erofs.md section 6). What cannot be served in place, and sparse files, are laid out one after the other in an extra file.
 * All this depends on the tar alone, so that who reads only its headers comes to the same places.
 */
import type { IndexNode, IndexPlace } from "../codec/erofs/tree.ts";
import { paddingOf } from "../codec/tar/block.ts";
import type { TarEntry } from "../codec/tar/entry.ts";
import { overLimit } from "./limits.ts";

/** What block numbers of 32 bits can address. */
const MAX_EXTRA_BYTES = 512 * 0xffff_ffff;

/** Takes the data of sparse files. The bytes are lent. */
export interface ExtraSink {
  write(bytes: Uint8Array, position: number): void;
}

/** The payload at hand. */
interface Run {
  readonly offset: number;
  readonly size: number;
  node: IndexNode | undefined;
}

/** Bytes of the tar that belong into the extra file too. */
export interface PayloadCopy {
  readonly from: number;
  readonly size: number;
  readonly to: number;
}

export class PayloadPlaces {
  readonly #tarDevice: number;
  readonly #sink: ExtraSink | undefined;
  readonly copies: PayloadCopy[] = [];
  #position = 0;
  #extraSize = 0;
  #run: Run | undefined;
  #pad = 0;
  #sparse: SparsePayload | undefined;

  /** @param tarDevice that of the tar; the extra file's is the next */
  constructor(tarDevice: number, sink: ExtraSink | undefined) {
    this.#tarDevice = tarDevice;
    this.#sink = sink;
  }

  /** Bytes of the tar so far. */
  get position(): number {
    return this.#position;
  }

  /** Bytes that the extra file has to have, a multiple of 512. */
  get extraSize(): number {
    return this.#extraSize;
  }

  /** Bytes that are no payload. */
  raw(bytes: Uint8Array): void {
    this.#position += bytes.byteLength;
    if (this.#pad === 0) return;
    const pad = Math.min(this.#pad, bytes.byteLength);
    this.#pad -= pad;
    for (let at = 0; at < pad; at++) if (bytes[at] !== 0) return this.#move();
    if (this.#pad === 0) this.#run = undefined;
  }

  data(bytes: Uint8Array): void {
    this.#position += bytes.byteLength;
    if (this.#sparse !== undefined) this.#sparse.write(bytes);
  }

  /** Payload that nobody read. */
  skip(length: number): void {
    this.#position += length;
  }

  /** A file's headers are over: its payload begins here. @throws LAYER_LIMIT */
  begin(entry: TarEntry): IndexPlace | undefined {
    if (entry.storedSize === 0) return undefined;
    if (entry.sparse === undefined) {
      this.#run = { offset: this.#position, size: entry.size, node: undefined };
      return { device: this.#tarDevice, offset: this.#position };
    }
    const place = this.#extra(entry.size);
    if (this.#sink !== undefined) this.#sparse = new SparsePayload(entry.sparse, place.offset, this.#sink);
    return place;
  }

  /** Whose payload it is: its place may yet change. */
  belongsTo(node: IndexNode): void {
    if (this.#run !== undefined) this.#run.node = node;
  }

  /** The payload is over; its padding comes next. */
  end(): void {
    this.#sparse = undefined;
    if (this.#run === undefined) return;
    this.#pad = paddingOf(this.#run.size);
    if (this.#pad === 0) this.#run = undefined;
  }

  /** The tar is over. */
  finish(): void {
    if (this.#pad > 0) this.#move();
  }

  #move(): void {
    this.#pad = 0;
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    const place = this.#extra(run.size);
    if (run.node !== undefined) run.node.place = place;
    this.copies.push({ from: run.offset, size: run.size, to: place.offset });
  }

  #extra(size: number): IndexPlace {
    const offset = this.#extraSize;
    this.#extraSize += size + paddingOf(size);
    if (this.#extraSize > MAX_EXTRA_BYTES) throw overLimit("bytes of sparse files", MAX_EXTRA_BYTES);
    return { device: this.#tarDevice + 1, offset };
  }
}

/** Lays the stored bytes of a sparse file out where its map says. */
class SparsePayload {
  readonly #extents: NonNullable<TarEntry["sparse"]>;
  readonly #start: number;
  readonly #sink: ExtraSink;
  #extent = 0;
  #filled = 0;

  constructor(extents: NonNullable<TarEntry["sparse"]>, start: number, sink: ExtraSink) {
    this.#extents = extents;
    this.#start = start;
    this.#sink = sink;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) {
      // The parser has seen to it that the map has room for all that is stored.
      const extent = this.#extents[this.#extent] ?? { offset: 0, length: Number.POSITIVE_INFINITY };
      const length = Math.min(extent.length - this.#filled, bytes.byteLength - at);
      this.#sink.write(bytes.subarray(at, at + length), this.#start + extent.offset + this.#filled);
      at += length;
      this.#filled += length;
      if (this.#filled < extent.length) continue;
      this.#extent++;
      this.#filled = 0;
    }
  }
}
