/**
 * The digest of what was sent, over breaks: when an upload goes on at a byte that the registry names, the hash has to go on there too.
 * It can only be taken up at places where it was noted down, so what lies between is read and hashed again, and has to come to the
 * same digest as before at the next such place. So what the registry kept of the first try is covered by the digest as well.
 */
import { createHash, type Hash } from "node:crypto";
import { VarveError } from "../../errors/varve-error.ts";
import { digestAlgorithm, digestHex, type Digest } from "../../oci/digest.ts";

/** Bytes between two notes, at least. */
const INTERVAL = 4 * 1024 * 1024;
const MOST_NOTES = 256;

interface Note {
  readonly position: number;
  readonly hash: Hash;
}

export class SentHash {
  readonly #digest: Digest;
  readonly #interval: number;
  #hash: Hash;
  #position = 0;
  /** In the order of their places: multiples of the interval, and how far it ever came. */
  #notes: Note[] = [];
  #reached = 0;

  /** @param options.interval Bytes. Default: 4 MiB, or more for large blobs. */
  constructor(digest: Digest, size: number, options: { interval?: number } = {}) {
    this.#digest = digest;
    this.#interval = options.interval ?? Math.max(INTERVAL, Math.ceil(size / MOST_NOTES));
    this.#hash = this.#new();
  }

  /** Bytes hashed, from the first on. */
  get position(): number {
    return this.#position;
  }

  /** How many they ever were since the start. */
  get reached(): number {
    return this.#reached;
  }

  /** @throws VarveError `SOURCE_CHANGED` when these are not the bytes that were here before */
  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const next = this.#nextPlace();
      const piece = bytes.subarray(at, at + next - this.#position);
      this.#hash.update(piece);
      this.#position += piece.length;
      at += piece.length;
      if (this.#position === next) this.#pass();
    }
    this.#reached = Math.max(this.#reached, this.#position);
  }

  /** Goes back so that `offset` can be passed again. @returns the place from which bytes are needed, at or before it */
  rewind(offset: number): number {
    if (offset >= this.#position) return this.#position;
    const last = this.#notes.at(-1)?.position ?? 0;
    if (this.#position > last) this.#notes.push({ position: this.#position, hash: this.#hash.copy() });
    const note = this.#notes.findLast(({ position }) => position <= offset);
    this.#hash = note?.hash.copy() ?? this.#new();
    this.#position = note?.position ?? 0;
    return this.#position;
  }

  /** Nothing of what was sent is left anywhere: from the first byte on, whatever the bytes were before. */
  restart(): void {
    this.#notes = [];
    this.#reached = 0;
    this.#position = 0;
    this.#hash = this.#new();
  }

  /** Whether what was hashed has the digest that it should have. */
  isRight(): boolean {
    return this.#hash.copy().digest("hex") === digestHex(this.#digest);
  }

  #nextPlace(): number {
    const regular = (Math.floor(this.#position / this.#interval) + 1) * this.#interval;
    const noted = this.#notes.find(({ position }) => position > this.#position)?.position ?? Infinity;
    return Math.min(regular, noted);
  }

  #pass(): void {
    const position = this.#position;
    const index = this.#notes.findIndex((note) => note.position === position);
    const note = this.#notes[index];
    const isRegular = position % this.#interval === 0;
    if (note === undefined) {
      if (isRegular) this.#notes.push({ position, hash: this.#hash.copy() });
      return;
    }
    if (note.hash.copy().digest("hex") !== this.#hash.copy().digest("hex")) {
      throw new VarveError(
        "SOURCE_CHANGED",
        `blob ${this.#digest}: its source gave other bytes when it was read again`,
      );
    }
    if (!isRegular) this.#notes.splice(index, 1);
  }

  #new(): Hash {
    return createHash(digestAlgorithm(this.#digest));
  }
}
