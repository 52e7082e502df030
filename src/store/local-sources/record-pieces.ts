/** Turns what a table of contents says of a layer that is held into digests that are known of its files. */
import type { PlacedPieces } from "../../codec/piece-table.ts";
import { digestHex } from "../../oci/digest.ts";
import type { LayerIndex } from "./layer-index.ts";
import { DISK_CUT } from "./known-file.ts";
import { hashName, type NameHash } from "./name-hash.ts";
import { FILE_WORDS, refAt, releaseWords, sizeAt, startAt } from "./rows.ts";

const SHA256 = "sha256:";
/** What sizes of chunks are multiples of that somebody has chosen, and the largest that are remembered. */
const FIXED_UNIT = 4096;
const MOST_FIXED = 2 ** 31;

/**
 * Adds the digests of all pieces that lie in a file of the layer with their path. Files with several pieces count as cut where their content
 * says, or into chunks of one size if theirs have one.
 */
export function recordPieces(index: LayerIndex, pieces: PlacedPieces): void {
  const byName = new PiecesByName(pieces);
  for (const segment of index.file.segments) {
    const words = index.file.rows(segment);
    for (let row = 0; row < words.length; row += FILE_WORDS) {
      const run = byName.take(words[row + 4]!, words[row + 5]!);
      if (run === undefined) continue;
      const [ref, start, size] = [refAt(words, row), startAt(words, row), sizeAt(words, row)];
      for (let piece = run.first; piece < run.end; piece++) {
        const digest = pieces.digest(piece);
        const [from, length] = [pieces.start(piece), pieces.size(piece)];
        if (digest?.startsWith(SHA256) !== true || length === 0 || from + length > size) continue;
        // A whole file of another size is another file.
        if (run.end - run.first === 1 && length !== size) continue;
        index.known.add(length, ref, start + from, Buffer.from(digestHex(digest), "hex"));
      }
      if (run.end - run.first > 1) {
        index.known.addCut(ref, start, index.layer.isDisk === true ? DISK_CUT : chunkBytesOf(pieces, run));
      }
    }
    releaseWords(words);
  }
}

interface Run {
  readonly first: number;
  readonly end: number;
}

/** Pieces of one name that stand together; found by the hashes of the name. Sorted columns, for there may be a million. */
class PiecesByName {
  readonly #first: Uint32Array;
  readonly #path: Uint32Array;
  readonly #base: Uint32Array;
  readonly #end: Uint32Array;
  readonly #taken: Uint8Array;

  constructor(pieces: PlacedPieces) {
    const { length } = pieces;
    const [first, end, path, base] = [0, 1, 2, 3].map(() => new Uint32Array(length)) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ];
    let runs = 0;
    const hash: NameHash = { path: 0, base: 0 };
    for (let piece = 0; piece < length; runs++) {
      const name = pieces.name(piece);
      hashName(name, hash);
      [first[runs], path[runs], base[runs]] = [piece, hash.path, hash.base];
      do piece++;
      while (piece < length && pieces.name(piece) === name);
      end[runs] = piece;
    }
    const order = new Uint32Array(runs).map((_, run) => run);
    order.sort((a, b) => path[a]! - path[b]! || a - b);
    const column = (values: Uint32Array): Uint32Array => new Uint32Array(runs).map((_, at) => values[order[at]!]!);
    this.#first = column(first);
    this.#end = column(end);
    this.#taken = new Uint8Array(runs);
    this.#path = column(path);
    this.#base = column(base);
  }

  /** Each is found once: a layer has one file of a path, and others only have the same hash. */
  take(path: number, base: number): Run | undefined {
    let low = 0;
    let high = this.#path.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#path[middle]! < path) low = middle + 1;
      else high = middle;
    }
    for (let at = low; this.#path[at] === path; at++) {
      if (this.#base[at] !== base || this.#taken[at] === 1) continue;
      this.#taken[at] = 1;
      return { first: this.#first[at]!, end: this.#end[at]! };
    }
    return undefined;
  }
}

/** Of eStargz' chunks, which are of one size but for the last; 0 where content says where chunks end. */
function chunkBytesOf(pieces: PlacedPieces, { first, end }: Run): number {
  let bytes = 0;
  for (let piece = first; piece < end; piece++) {
    const start = pieces.start(piece);
    if (start > 0) bytes = bytes === 0 ? start : Math.min(bytes, start);
  }
  for (let piece = first; piece < end; piece++) if (bytes === 0 || pieces.start(piece) % bytes !== 0) return 0;
  // Of two chunks nobody can tell otherwise; tools take round sizes, content does not.
  return bytes % FIXED_UNIT !== 0 || bytes > MOST_FIXED ? 0 : bytes;
}
