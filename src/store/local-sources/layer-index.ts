/** The index of one layer while a search looks at it: it is built when there is none that can be used, and what is learnt is kept with it. */
import { join } from "node:path";
import { isVarveError } from "../../errors/varve-error.ts";
import { lock } from "../../sys/flock.ts";
import type { HeldLayer } from "./held-layer.ts";
import { IndexFile } from "./index-file.ts";
import { INDEX_FILE } from "./index-format.ts";
import { KNOWN_FILE, readKnown, writeKnown, type Known } from "./known-file.ts";
import { hashName } from "./name-hash.ts";
import { FILE_WORDS, refAt } from "./rows.ts";
import { writeIndex } from "./write-index.ts";

/** Who builds or adds to a layer's index has it; the kernel lets go of it for the dead. */
const LOCK_FILE = "sources.lock";

export class LayerIndex implements Disposable {
  readonly layer: HeldLayer;
  readonly file: IndexFile;
  readonly known: Known;
  readonly #home: string;

  private constructor(layer: HeldLayer, home: string, file: IndexFile) {
    this.layer = layer;
    this.#home = home;
    this.file = file;
    this.known = readKnown(join(home, KNOWN_FILE), file.id);
  }

  /**
   * Opens a layer's index, and builds it first if need be; of several who want that one does.
   * @param home the folder that the index is in
   * @throws NodeJS.ErrnoException, what walking the layer says, the signal's reason
   */
  static async open(layer: HeldLayer, home: string, signal?: AbortSignal): Promise<LayerIndex> {
    const path = join(home, INDEX_FILE);
    const found = tryOpen(path);
    if (found !== undefined) return new LayerIndex(layer, home, found);
    using _held = await locked(home, signal);
    const since = tryOpen(path);
    if (since !== undefined) return new LayerIndex(layer, home, since);
    await writeIndex(layer, path, signal === undefined ? {} : { signal });
    return new LayerIndex(layer, home, IndexFile.open(path));
  }

  /** Removes an index whose rows turned out damaged, so that it is built anew. @throws NodeJS.ErrnoException */
  static async rebuild(layer: HeldLayer, home: string, signal?: AbortSignal): Promise<LayerIndex> {
    {
      using _held = await locked(home, signal);
      await writeIndex(layer, join(home, INDEX_FILE), signal === undefined ? {} : { signal });
    }
    return LayerIndex.open(layer, home, signal);
  }

  /** Keeps what was added to what is known, together with what others have added meanwhile. @throws NodeJS.ErrnoException */
  async keep(): Promise<void> {
    if (this.known.added === 0) return;
    await this.#change((known) => known.adopt(this.known));
    this.known.merge();
  }

  /** Forgets what is said of what begins there. @throws NodeJS.ErrnoException */
  async forget(ref: number, start: number): Promise<void> {
    if (!this.known.forget(ref, start)) return;
    await this.#change((known) => void known.forget(ref, start));
  }

  /** What a path in a tree is to rows. @throws INDEX_INVALID when the index is damaged */
  refOf(path: string): number | undefined {
    const { path: hash } = hashName(path, { path: 0, base: 0 });
    for (const segment of this.file.segments) {
      const words = this.file.rows(segment);
      for (let row = 0; row < words.length; row += FILE_WORDS) {
        if (words[row + 4] === hash && this.file.pathAt(refAt(words, row)) === path) return refAt(words, row);
      }
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.file[Symbol.dispose]();
    this.known[Symbol.dispose]();
  }

  async #change(work: (known: Known) => void): Promise<void> {
    using _held = await locked(this.#home);
    const path = join(this.#home, KNOWN_FILE);
    // Anew: others may have added to it.
    using known = readKnown(path, this.file.id);
    work(known);
    await writeKnown(path, this.file.id, known);
  }
}

function tryOpen(path: string): IndexFile | undefined {
  try {
    return IndexFile.open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || isVarveError(error, "INDEX_INVALID")) return undefined;
    throw error;
  }
}

/** The file of the lock goes with it, unless the folder went before. */
async function locked(home: string, signal?: AbortSignal): Promise<Disposable> {
  const held = await lock(join(home, LOCK_FILE), signal === undefined ? {} : { signal });
  return {
    [Symbol.dispose]: () => {
      try {
        held.unlock({ remove: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    },
  };
}
