/**
 * The pieces that a table of contents names, in columns: whole files, and the chunks of those that have several. Each lies in frames (or members)
 * of its own in the blob, so it can be fetched alone; or it is a run of zeros, which need not be fetched.
 */
import { digestHex, type Digest } from "../../oci/digest.ts";
import type { PlacedPieces } from "../piece-table.ts";
import { BytesColumn, Column } from "./columns.ts";

const HAS_DIGEST = 1;
const IS_ZEROS = 2;
const HAS_CHUNKS = 4;

export interface TocPiece {
  /** What `name` of the table is asked with. */
  readonly owner: number;
  /** Where it begins in its file. */
  readonly start: number;
  readonly size: number;
  readonly digest: Digest | undefined;
  /** Bytes `[offset, end)` of the blob; NaN as long as the end is not known. */
  readonly offset: number;
  readonly end: number;
  readonly isZeros?: boolean;
  /** Whether it is a whole file whose chunks are the pieces behind it. */
  readonly hasChunks?: boolean;
}

export class TocPieces implements PlacedPieces {
  readonly #nameOf: (owner: number) => string;
  readonly #owners = new Column("u32");
  readonly #starts = new Column("f64");
  readonly #sizes = new Column("f64");
  readonly #offsets = new Column("f64");
  readonly #ends = new Column("f64");
  readonly #flags = new Column("u8");
  readonly #digests = new BytesColumn(32);
  /** The name that was asked for last: the chunks of a file are asked for one after the other. */
  #named: { readonly owner: number; readonly name: string } | undefined;

  constructor(nameOf: (owner: number) => string) {
    this.#nameOf = nameOf;
  }

  get length(): number {
    return this.#sizes.length;
  }

  /** That it takes in memory, without the names. */
  get bytes(): number {
    const columns = [this.#owners, this.#starts, this.#sizes, this.#offsets, this.#ends, this.#flags, this.#digests];
    return columns.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** @returns its number */
  push(piece: TocPiece): number {
    const { isZeros = false, hasChunks = false } = piece;
    // Nobody needs to look for zeros.
    const digest = isZeros ? undefined : piece.digest;
    this.#owners.push(piece.owner);
    this.#starts.push(piece.start);
    this.#sizes.push(piece.size);
    this.#offsets.push(piece.offset);
    this.#ends.push(piece.end);
    this.#flags.push((digest === undefined ? 0 : HAS_DIGEST) | (isZeros ? IS_ZEROS : 0) | (hasChunks ? HAS_CHUNKS : 0));
    const row = this.#digests.push();
    if (digest !== undefined) row.write(digestHex(digest), "hex");
    return this.length - 1;
  }

  setEnd(piece: number, end: number): void {
    this.#ends.set(piece, end);
  }

  size(piece: number): number {
    return this.#sizes.get(piece);
  }

  digest(piece: number): Digest | undefined {
    if (!this.hasDigest(piece)) return undefined;
    return `sha256:${this.#digests.get(piece).toString("hex")}` as Digest;
  }

  hasDigest(piece: number): boolean {
    return (this.#flags.get(piece) & HAS_DIGEST) !== 0;
  }

  name(piece: number): string {
    const owner = this.#owners.get(piece);
    if (this.#named?.owner !== owner) this.#named = { owner, name: this.#nameOf(owner) };
    return this.#named.name;
  }

  start(piece: number): number {
    return this.#starts.get(piece);
  }

  /** Where its frames begin in the blob. */
  offset(piece: number): number {
    return this.#offsets.get(piece);
  }

  /** Where they end. */
  end(piece: number): number {
    return this.#ends.get(piece);
  }

  /** Whether all of its bytes are zero, which nobody needs to look for or fetch; such a piece has no digest. */
  isZeros(piece: number): boolean {
    return (this.#flags.get(piece) & IS_ZEROS) !== 0;
  }

  /** Whether it is a whole file that is cut into chunks, which are the pieces behind it up to the next that begins at 0. */
  hasChunks(piece: number): boolean {
    return (this.#flags.get(piece) & HAS_CHUNKS) !== 0;
  }

  /** The first piece behind this one that is no chunk of it. */
  behind(piece: number): number {
    if (!this.hasChunks(piece)) return piece + 1;
    const owner = this.#owners.get(piece);
    let next = piece + 1;
    while (next < this.length && this.#owners.get(next) === owner) next++;
    return next;
  }
}
