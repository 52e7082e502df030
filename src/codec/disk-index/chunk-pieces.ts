/** The pieces of one chunk of a disk, in columns: 48 bytes for each. Sums are kept below what numbers can tell apart. */
import type { Digest } from "../../oci/digest.ts";
import { BytesColumn, Column } from "../zstd-chunked/columns.ts";
import { DIGEST_BYTES } from "./format.ts";

export class ChunkPieces {
  readonly #starts = new Column("f64");
  readonly #offsets = new Column("f64");
  readonly #digests = new BytesColumn(DIGEST_BYTES);
  readonly #zeros = new Column("u8");
  #size = 0;
  #blobBytes = 0;

  get length(): number {
    return this.#starts.length;
  }

  /** Bytes of all pieces. */
  get contentBytes(): number {
    return this.#size;
  }

  /** Bytes of all their blocks. */
  get blobBytes(): number {
    return this.#blobBytes;
  }

  /** @param digest sha256; undefined where all bytes are zero */
  push(size: number, blobBytes: number, digest: Uint8Array | undefined): void {
    this.#starts.push(this.#size);
    this.#offsets.push(this.#blobBytes);
    this.#zeros.push(digest === undefined ? 1 : 0);
    const row = this.#digests.push();
    if (digest !== undefined) row.set(digest);
    this.#size += size;
    this.#blobBytes += blobBytes;
  }

  size(piece: number): number {
    return (piece + 1 < this.length ? this.start(piece + 1) : this.#size) - this.start(piece);
  }

  digest(piece: number): Digest | undefined {
    const bytes = this.digestBytes(piece);
    return bytes && (`sha256:${Buffer.from(bytes).toString("hex")}` as Digest);
  }

  /** Undefined where all bytes are zero. */
  digestBytes(piece: number): Uint8Array | undefined {
    return this.isZeros(piece) ? undefined : this.#digests.get(piece);
  }

  /** In the chunk's content. */
  start(piece: number): number {
    return this.#starts.get(piece);
  }

  /** Where its blocks begin in the chunk's blob. */
  offset(piece: number): number {
    return this.#offsets.get(piece);
  }

  /** Where they end. */
  end(piece: number): number {
    return piece + 1 < this.length ? this.offset(piece + 1) : this.#blobBytes;
  }

  isZeros(piece: number): boolean {
    return this.#zeros.get(piece) === 1;
  }
}
