/**
 * Looks for wanted pieces in one layer after the other, cheapest knowledge first:
 *
 *     known    digests that are known already
 *     path     files of the size and the path of a wanted piece that nobody has hashed yet
 *     base     files of its size and last name; an image's files move when versions change
 *     size     files of its size
 *     cut      files of the path of a piece that is a chunk: they are cut as its writer would have cut them, and hashed piece by piece
 *     rest     all other contents of disks, cut as the index of a chunk is
 *
 * What is hashed is bounded: by bytes for the whole search, and by a few looks for each piece that is wanted. All of it is remembered.
 * One layer's segment (index-format.ts) and what is known of the layer are in memory at a time.
 */
import { setImmediate } from "node:timers/promises";
import { isVarveError } from "../../errors/varve-error.ts";
import { cutDisk } from "./cut-disks.ts";
import { CutFiles } from "./cut-files.ts";
import { HeldContent } from "./held-content.ts";
import type { LayerIndex } from "./layer-index.ts";
import { FILE_WORDS, KEY_WORDS, KNOWN_WORDS, refAt, releaseWords, sizeAt, startAt } from "./rows.ts";
import type { WantedSet } from "./wanted-set.ts";

type Pass = "known" | "path" | "base" | "size" | "cut" | "rest";
const PASSES: readonly Pass[] = ["known", "path", "base", "size", "cut", "rest"];
/** Rows that are gathered before they are hashed. */
const GATHERED = 1 << 16;
/** What looking at a file costs at least, in bytes read: small ones are about their names and their places on the disk. */
const LOOK_BYTES = 16 * 1024;

/** Bytes that may still be read to be hashed. */
export interface Budget {
  bytes: number;
}

/** A layer to look at: its number among the sources, and how its index is opened. */
export interface Searched {
  readonly source: number;
  /** Undefined when it cannot be looked at. */
  open(): Promise<LayerIndex | undefined>;
  /** The same for one whose rows turned out damaged. */
  rebuild(): Promise<LayerIndex | undefined>;
}

export interface SearchOptions {
  readonly budget: Budget;
  readonly signal?: AbortSignal;
}

/** @throws the signal's reason */
export async function search(wanted: WantedSet, layers: readonly Searched[], options: SearchOptions): Promise<void> {
  const cuts = new CutFiles(wanted);
  for (const pass of PASSES) {
    if (pass === "path") wanted.prepareNames();
    if (pass === "cut") cuts.prepare();
    for (const layer of layers) {
      options.signal?.throwIfAborted();
      const isOver =
        wanted.isComplete || (pass !== "known" && options.budget.bytes <= 0) || (pass === "cut" && cuts.isEmpty);
      if (isOver) break;
      await searchLayer(pass, layer, wanted, cuts, options);
      await setImmediate();
    }
  }
}

async function searchLayer(
  pass: Pass,
  layer: Searched,
  wanted: WantedSet,
  cuts: CutFiles,
  options: SearchOptions,
): Promise<void> {
  for (const open of [() => layer.open(), () => layer.rebuild()]) {
    using index = await open();
    if (index === undefined) return;
    try {
      const work = new LayerSearch(index, layer.source, wanted, options);
      await work.run(pass, cuts);
      return;
    } catch (error) {
      options.signal?.throwIfAborted();
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      // Damaged rows; anything else is a layer that is going away, or that nobody can read.
      if (!isVarveError(error, "INDEX_INVALID")) return;
    } finally {
      await index.keep().catch(() => {});
    }
  }
}

class LayerSearch {
  readonly #index: LayerIndex;
  readonly #source: number;
  readonly #wanted: WantedSet;
  readonly #budget: Budget;
  readonly #signal: AbortSignal | undefined;

  constructor(index: LayerIndex, source: number, wanted: WantedSet, { budget, signal }: SearchOptions) {
    this.#index = index;
    this.#source = source;
    this.#wanted = wanted;
    this.#budget = budget;
    this.#signal = signal;
  }

  async run(pass: Pass, cuts: CutFiles): Promise<void> {
    if (pass === "known") return this.#takeKnown();
    if (pass === "rest" && this.#index.layer.isDisk !== true) return;
    await using content = new HeldContent(this.#index.layer, this.#index.file, this.#signal);
    for (const segment of this.#index.file.segments) {
      const words = this.#index.file.rows(segment);
      try {
        if (pass === "cut" || pass === "rest") {
          const options = { source: this.#source, content, budget: this.#budget };
          if (this.#index.layer.isDisk === true) {
            const isWanted = (row: number): boolean => pass === "rest" || cuts.isWanted(words, row);
            await cutDisk(words, this.#index, { ...options, wanted: this.#wanted, isWanted });
          } else await cuts.cutIn(words, this.#index, options);
        } else await this.#hashIn(words, pass, content);
      } finally {
        releaseWords(words);
      }
      if (this.#wanted.isComplete) return;
    }
  }

  #takeKnown(): void {
    const { rows } = this.#index.known;
    const digests = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    for (let at = 0; at < rows.length; at += KNOWN_WORDS) {
      const size = sizeAt(rows, at);
      if (size === 0) continue;
      const digestAt = (at + KEY_WORDS) * 4;
      const place = { source: this.#source, ref: refAt(rows, at), start: startAt(rows, at) };
      this.#wanted.match(size, digests.subarray(digestAt, digestAt + 32), place);
    }
  }

  async #hashIn(words: Uint32Array, pass: "path" | "base" | "size", content: HeldContent): Promise<void> {
    let gathered: number[] = [];
    for (const row of this.#candidates(words, pass)) {
      if (gathered.push(row) < GATHERED) continue;
      await this.#hash(words, gathered, content);
      gathered = [];
    }
    await this.#hash(words, gathered, content);
  }

  /** Rows of sizes that are wanted whose digest is not known. Both sides are sorted by size. */
  *#candidates(words: Uint32Array, pass: "path" | "base" | "size"): Generator<number> {
    const wanted = this.#wanted;
    const { known } = this.#index;
    let group = 0;
    for (let row = 0; row < words.length && group < wanted.length; row += FILE_WORDS) {
      const size = sizeAt(words, row);
      while (wanted.sizeAt(group) < size) group = wanted.groupAfter(group);
      if (wanted.sizeAt(group) !== size || !wanted.isOpen(group)) continue;
      if (pass !== "size" && !wanted.isNamed(pass, words[row + (pass === "path" ? 4 : 5)]!, size)) continue;
      if (!known.has(size, refAt(words, row), startAt(words, row))) yield row;
      // So many of this size were other content: that counts, or each search would look at some more.
      else if (pass === "size") wanted.tried(group);
    }
  }

  async #hash(words: Uint32Array, rows: number[], content: HeldContent): Promise<void> {
    rows.sort((a, b) => refAt(words, a) - refAt(words, b) || startAt(words, a) - startAt(words, b));
    const wanted = this.#wanted;
    let before = -1;
    const isWanted = (row: number): boolean => {
      const size = sizeAt(words, row);
      const group = wanted.groupFrom(size);
      // Several names of one file have one place.
      const isSame =
        before >= 0 && refAt(words, row) === refAt(words, before) && startAt(words, row) === startAt(words, before);
      before = row;
      const cost = Math.max(size, LOOK_BYTES);
      if (isSame || this.#budget.bytes < cost || !wanted.isOpen(group)) return false;
      this.#budget.bytes -= cost;
      wanted.tried(group);
      return true;
    };
    await content.hash(words, rows, isWanted, (row, digest) => {
      const [size, ref, start] = [sizeAt(words, row), refAt(words, row), startAt(words, row)];
      this.#index.known.add(size, ref, start, digest);
      wanted.match(size, digest, { source: this.#source, ref, start });
    });
  }
}
