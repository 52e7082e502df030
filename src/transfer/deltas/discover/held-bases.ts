/** Which of the layers that deltas are from are held: by DiffID, or by the digest of the blob, as other programs name them. */
import type { Digest } from "../../../oci/digest.ts";
import type { Store } from "../../../store/store.ts";
import type { LayerTars } from "../types.ts";

/** Each takes a look at the disk, and lists of deltas can name a hundred thousand. What is named beyond counts as not held. */
const MOST_NAMES = 4096;

/** Asks once of each. */
export class HeldBases {
  readonly #store: Store;
  readonly #tars: () => Promise<LayerTars>;
  readonly #signal: AbortSignal;
  readonly #known = new Map<Digest, Promise<Digest | undefined>>();

  constructor(store: Store, tars: () => Promise<LayerTars>, signal: AbortSignal) {
    this.#store = store;
    this.#tars = tars;
    this.#signal = signal;
  }

  /** DiffID of a layer; undefined when it is not held. @throws the signal's reason */
  diffIdOf(name: Digest): Promise<Digest | undefined> {
    const known = this.#known.get(name);
    if (known !== undefined || this.#known.size >= MOST_NAMES) return known ?? Promise.resolve(undefined);
    const asked = this.#ask(name);
    this.#known.set(name, asked);
    return asked;
  }

  /** DiffIDs of all; undefined when one is not held. */
  async allOf(names: readonly Digest[]): Promise<readonly Digest[] | undefined> {
    const found: Digest[] = [];
    for (const name of names) {
      const diffId = await this.diffIdOf(name);
      if (diffId === undefined) return undefined;
      found.push(diffId);
    }
    return found;
  }

  /** DiffIDs of those that are held. */
  async of(names: readonly Digest[]): Promise<readonly Digest[]> {
    const found: Digest[] = [];
    for (const name of names) {
      const diffId = await this.diffIdOf(name);
      if (diffId !== undefined) found.push(diffId);
    }
    return found;
  }

  async #ask(name: Digest): Promise<Digest | undefined> {
    this.#signal.throwIfAborted();
    const tars = await this.#tars();
    // First, as the blob may be held, and is no tar.
    const diffId = (await this.#store.layers.get(name))?.diffId;
    if (diffId !== undefined && (await tars.has(diffId))) return diffId;
    return diffId !== name && (await tars.has(name)) ? name : undefined;
  }
}
