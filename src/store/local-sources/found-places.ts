/** What a search has found, as planners are told it: numbers until a place is asked for, however many there are. */
import type { Lease } from "../leases.ts";
import type { HeldLayer } from "./held-layer.ts";
import { pathOf } from "./held-content.ts";
import { IndexFile } from "./index-file.ts";
import type { LocalPlace, LocalPlaces } from "./types.ts";
import type { WantedSet } from "./wanted-set.ts";

/** Indexes of trees that are open for their names at once. */
const MAX_OPEN = 8;

/** What places are in: a file that is held as it is, or a layer whose index says where. */
export type Source =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "layer"; readonly layer: HeldLayer; readonly index: string };

export interface FoundPlacesOptions {
  readonly wanted: WantedSet;
  readonly sources: readonly Source[];
  /** Keeps the sources; undefined in a store that is only read. */
  readonly lease: Lease | undefined;
}

export class FoundPlaces implements LocalPlaces {
  readonly #wanted: WantedSet;
  readonly #sources: readonly Source[];
  readonly #lease: Lease | undefined;
  /** By number of the source, in the order of last use. */
  readonly #open = new Map<number, IndexFile>();
  // The chunks of a file follow each other.
  #last: { readonly source: number; readonly ref: number; readonly path: string | undefined } | undefined;

  constructor({ wanted, sources, lease }: FoundPlacesOptions) {
    this.#wanted = wanted;
    this.#sources = sources;
    this.#lease = lease;
  }

  get found(): { readonly pieces: number; readonly bytes: number } {
    return this.#wanted.found;
  }

  get(piece: number): LocalPlace | undefined {
    const place = this.#wanted.placeOf(piece);
    if (place === undefined) return undefined;
    const { source, ref, start } = place;
    if (this.#last?.source !== source || this.#last.ref !== ref) {
      this.#last = { source, ref, path: this.#pathOf(source, ref) };
    }
    const { path } = this.#last;
    return path === undefined ? undefined : { path, start };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#open.values()) file[Symbol.dispose]();
    this.#open.clear();
    await this.#lease?.release();
  }

  #pathOf(number: number, ref: number): string | undefined {
    const source = this.#sources[number];
    if (source === undefined || source.kind === "file") return source?.path;
    const { layer } = source;
    if (layer.form === "devices") return layer.roots[ref];
    try {
      return pathOf(layer, this.#index(number, source.index), ref);
    } catch {
      // The layer is gone, or its index was damaged: the piece is fetched.
      return undefined;
    }
  }

  #index(number: number, path: string): IndexFile {
    const file = this.#open.get(number) ?? IndexFile.open(path);
    this.#open.delete(number);
    this.#open.set(number, file);
    const [oldest] = this.#open;
    if (this.#open.size > MAX_OPEN && oldest !== undefined) {
      this.#open.delete(oldest[0]);
      oldest[1][Symbol.dispose]();
    }
    return file;
  }
}
