/**
 * Which layer of the base has the most of a new layer: told by the names of its files and their sizes, which are read from the tars' headers alone. A
 * name that moved to another directory counts half, for it may be another file.
 */
import { filesOf, type TarFile } from "../../codec/tar-diff/generate/tar-files.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import type { Digest } from "../../oci/digest.ts";
import type { TransferContext } from "../context.ts";
import { openTar, type Side } from "./create-sides.ts";
import type { LayerTars } from "./types.ts";

export interface BestBase {
  readonly diffId: Digest;
  readonly tar: SeekableTar;
}

interface Candidate extends BestBase {
  readonly index: number;
  /** Bytes of files, by sums of their paths and of the last names of these: there are hundreds of thousands, and a wrong one does no harm. */
  readonly byPath: ReadonlyMap<number, number>;
  readonly byName: ReadonlyMap<number, number>;
}

/** All layers of one base, opened when the first is asked for. They go with this. */
export class BestBases implements AsyncDisposable {
  readonly #context: TransferContext;
  readonly #tars: LayerTars;
  readonly #base: Side;
  readonly #opened = new AsyncDisposableStack();
  #candidates: Promise<readonly Candidate[]> | undefined;

  constructor(context: TransferContext, tars: LayerTars, base: Side) {
    this.#context = context;
    this.#tars = tars;
    this.#base = base;
  }

  /**
   * @param index of the layer in its image: of layers that are equally good the one at the same place is taken
   * @returns undefined when none has a file of it; its tar stays open as long as this is
   */
  async find(tar: SeekableTar, index: number): Promise<BestBase | undefined> {
    const candidates = await (this.#candidates ??= this.#read());
    const files = await filesOf(tar, true, this.#context.signal);
    let best: { readonly candidate: Candidate; readonly score: number } | undefined;
    const nearest = candidates.toSorted((a, b) => Math.abs(a.index - index) - Math.abs(b.index - index));
    for (const candidate of nearest) {
      const score = scoreOf(files, candidate);
      if (score > (best?.score ?? 0)) best = { candidate, score };
    }
    return best?.candidate;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#candidates?.catch(() => undefined);
    await this.#opened.disposeAsync();
  }

  async #read(): Promise<Candidate[]> {
    const candidates: Candidate[] = [];
    for (const [index, diffId] of this.#base.diffIds.entries()) {
      if (this.#base.diffIds.indexOf(diffId) < index) continue;
      const tar = this.#opened.use(await openTar(this.#context, this.#tars, this.#base, diffId));
      const files = await filesOf(tar, false, this.#context.signal);
      const sources = files.filter(({ isSource }) => isSource);
      const byPath = new Map(sources.map(({ path, size }) => [sumOf(path), size]));
      const byName = new Map(sources.map(({ path, size }) => [sumOf(lastName(path)), size]));
      candidates.push({ index, diffId, tar, byPath, byName });
    }
    return candidates;
  }
}

/** Bytes that may well be the same. */
function scoreOf(files: readonly TarFile[], { byPath, byName }: Candidate): number {
  let score = 0;
  for (const { path, size } of files) {
    const same = byPath.get(sumOf(path));
    if (same !== undefined) score += Math.min(size, same);
    else score += Math.min(size, byName.get(sumOf(lastName(path))) ?? 0) / 2;
  }
  return score;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** FNV-1a. */
function sumOf(text: string): number {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return sum;
}
