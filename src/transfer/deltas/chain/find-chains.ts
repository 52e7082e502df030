/**
 * Looks for deltas of layers between what is held and what is wanted. The repository's index of deltas names those of all its images (formats "tar-diff"
 * §2), and with them what each was made from; only those that can be applied, or could after others, are read.
 */
import { isVarveError } from "../../../errors/varve-error.ts";
import { DELTA_TARGET, VARVE_DELTA_BASE } from "../../../oci/delta-names.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import { isDigest, type Digest } from "../../../oci/digest.ts";
import type { Reference } from "../../../oci/reference.ts";
import type { TransportEvent } from "../../../registry/blob-source.ts";
import type { RegistryClient } from "../../../registry/client.ts";
import { inParallel } from "../../in-parallel.ts";
import { readBases, readDeltaManifest, type ListedDelta } from "../discover/read-manifest.ts";
import { MOST_STEPS, resolveChains, withoutKnots, type Chain } from "./resolve-chains.ts";

/** Manifests that are read for one step. */
const MOST_READ = 6;
const READ_AT_ONCE = 3;
/** Layers that are asked for. */
const MOST_NAMES = 4096;
/** Entries of the index that are looked at. */
const MOST_LISTED = 2000;

export interface FindChainsOptions {
  readonly registry: RegistryClient;
  readonly reference: Reference;
  /** Manifests that the repository's index of deltas names. */
  readonly index: readonly Descriptor[];
  /** Deltas for the image that are known; their bases may be missing. */
  readonly listed: readonly ListedDelta[];
  /** DiffIDs of the layers that are wanted, and digests of their blobs. */
  readonly wanted: ReadonlySet<Digest>;
  /** Digests of all that the image consists of; no delta is called like these. */
  readonly own: ReadonlySet<Digest>;
  /** Deltas of its layers that need no others. */
  readonly direct: readonly ListedDelta[];
  readonly isHeld: (name: Digest) => Promise<boolean>;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TransportEvent) => void;
}

/** @throws the signal's reason */
export async function findChains(options: FindChainsOptions): Promise<readonly Chain[]> {
  return new Search(options).search();
}

class Search {
  readonly #options: FindChainsOptions;
  readonly #unread: Set<Descriptor>;
  readonly #deltas: ListedDelta[];
  /** Names of layers, and whether they are here. */
  readonly #held = new Map<Digest, boolean>();
  /** Layers that deltas make of what is held, or of such. */
  readonly #within = new Set<Digest>();

  constructor(options: FindChainsOptions) {
    this.#options = options;
    this.#deltas = [...options.listed];
    this.#unread = new Set(options.index.slice(0, MOST_LISTED));
  }

  async search(): Promise<readonly Chain[]> {
    const { wanted, own, direct } = this.#options;
    for (let step = 0; step < MOST_STEPS; step++) {
      const next = await this.#nextEntries();
      await inParallel(next, READ_AT_ONCE, (entry) => this.#read(entry));
      for (const { from, to } of this.#deltas) {
        for (const name of [...from, to]) await this.#isHeld(name);
        if (from.every((name) => this.#isWithin(name))) this.#within.add(to);
      }
      const resolved = resolveChains(this.#deltas, wanted, (name) => this.#held.get(name) === true);
      const chains = withoutKnots(resolved, own, direct);
      const isLast = step === MOST_STEPS - 1 || next.length === 0;
      if (isLast || chains.some(({ via }) => via.length > 0)) return chains;
    }
    return [];
  }

  /** Those that are likeliest to lead on. */
  async #nextEntries(): Promise<readonly Descriptor[]> {
    const rated: { readonly entry: Descriptor; readonly share: number }[] = [];
    for (const entry of this.#unread) {
      const bases = readBases(entry.annotations?.[VARVE_DELTA_BASE]);
      if (bases === undefined) continue;
      let within = 0;
      for (const base of bases) if ((await this.#isHeld(base)) || this.#within.has(base)) within++;
      if (within > 0) rated.push({ entry, share: within / bases.length });
    }
    const inOrder = rated.toSorted((a, b) => b.share - a.share || (a.entry.digest < b.entry.digest ? -1 : 1));
    const next = inOrder.slice(0, MOST_READ).map(({ entry }) => entry);
    for (const entry of next) this.#unread.delete(entry);
    return next;
  }

  /** What is broken leads nowhere. */
  async #read({ digest, size, mediaType, annotations }: Descriptor): Promise<void> {
    const { registry, reference, signal, onEvent } = this.#options;
    const target = annotations?.[DELTA_TARGET];
    if (!isDigest(target)) return;
    try {
      const document = await registry.fetchManifest(reference, { digest, size, mediaType, signal, onEvent });
      if (document.kind === "manifest") this.#deltas.push(...readDeltaManifest(document, target));
    } catch (error) {
      signal.throwIfAborted();
      if (!isVarveError(error)) throw error;
    }
  }

  /** An index may name so many that asking for all of them would take longer than the layers. */
  async #isHeld(name: Digest): Promise<boolean> {
    const { signal, isHeld } = this.#options;
    signal.throwIfAborted();
    const known = this.#held.get(name);
    if (known !== undefined || this.#held.size >= MOST_NAMES) return known === true;
    const isHere = await isHeld(name);
    this.#held.set(name, isHere);
    return isHere;
  }

  #isWithin(name: Digest): boolean {
    return this.#held.get(name) === true || this.#within.has(name);
  }
}
