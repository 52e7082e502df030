/**
 * What this machine holds as a pull begins. What the pull itself adds is no source for it: which of its layers is ready first is chance, and a
 * plan of the pull would not be true.
 */
import type { PieceTable, PlacedPieces } from "../../codec/piece-table.ts";
import type { Digest } from "../../oci/digest.ts";
import { heldFiles } from "../../snapshot/held-files.ts";
import type { HeldLayer } from "../../store/local-sources/held-layer.ts";
import { HeldSources } from "../../store/local-sources/local-sources.ts";
import type { LocalPlace, LocalPlaces, LocalSources, LocateOptions } from "../../store/local-sources/types.ts";
import type { Store } from "../../store/store.ts";
import { learnTables } from "./learn-tables.ts";

export interface PullSourcesOptions {
  readonly store: Store;
  /** Writes nothing to the store: for plans. Default false. */
  readonly readOnly?: boolean;
}

export class PullSources implements LocalSources, AsyncDisposable {
  readonly #store: Store;
  readonly #before: HeldSources;
  readonly #now: HeldSources;
  #held: Promise<HeldLayer[]> | undefined;
  #learning: Promise<void> | undefined;

  constructor({ store, readOnly = false }: PullSourcesOptions) {
    this.#store = store;
    this.#before = new HeldSources({ store, readOnly, listHeld: () => this.#list() });
    this.#now = new HeldSources({ store, readOnly, listHeld: () => heldFiles(store) });
  }

  /** Whether anything is unpacked here. */
  async isAnything(): Promise<boolean> {
    return (await this.#list()).length > 0;
  }

  async locate(wanted: PieceTable, options: LocateOptions = {}): Promise<LocalPlaces> {
    const { signal = new AbortController().signal } = options;
    this.#learning ??= this.#list().then((held) =>
      learnTables({ store: this.#store, sources: this.#before, held, signal }),
    );
    await this.#learning;
    return this.#before.locate(wanted, options);
  }

  record(diffId: Digest, pieces: PlacedPieces): Promise<void> {
    return this.#now.record(diffId, pieces);
  }

  forget(place: LocalPlace): Promise<void> {
    return this.#before.forget(place);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#before[Symbol.asyncDispose]();
    await this.#now[Symbol.asyncDispose]();
  }

  #list(): Promise<HeldLayer[]> {
    this.#held ??= heldFiles(this.#store);
    return this.#held;
  }
}
