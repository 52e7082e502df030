/**
 * The index over all content that this machine holds: what planners ask (types.ts). Nothing is done before a planner asks. Each layer's index lies in
 * its folder and goes with it; where it cannot be written, it lies in a temporary directory for as long as this is used.
 *
 * What a plan names must stay while it is carried out: whatever is found is leased, and then looked for once more. Who collects garbage asks for
 * leases right before anything goes (sweep.ts), so either it sees the lease, or this sees that it went.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { PieceTable, PlacedPieces } from "../../codec/piece-table.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { digestHex, type Digest } from "../../oci/digest.ts";
import type { Lease } from "../leases.ts";
import type { Store } from "../store.ts";
import { FoundPlaces, type Source } from "./found-places.ts";
import type { HeldLayer, ListHeld } from "./held-layer.ts";
import { INDEX_FILE } from "./index-format.ts";
import { IndexHomes, unlessReadOnly } from "./index-homes.ts";
import { KNOWN_FILE } from "./known-file.ts";
import { recordPieces } from "./record-pieces.ts";
import { search, type Searched } from "./search.ts";
import type { LocalPlace, LocalPlaces, LocalSources, LocateOptions } from "./types.ts";
import { WantedSet } from "./wanted-set.ts";

const HASHED_FOR_WANTED = 8;
const LEAST_HASHED = 64 << 20;

export interface HeldSourcesOptions {
  readonly store: Pick<Store, "content" | "leases">;
  readonly listHeld: ListHeld;
  /** Writes nothing to the store, and leases nothing. Default false. */
  readonly readOnly?: boolean;
}

export class HeldSources implements LocalSources {
  readonly #store: Pick<Store, "content" | "leases">;
  readonly #listHeld: ListHeld;
  readonly #readOnly: boolean;
  readonly #homes: IndexHomes;
  #turn: Promise<void> = Promise.resolve();

  constructor({ store, listHeld, readOnly = false }: HeldSourcesOptions) {
    this.#store = store;
    this.#listHeld = listHeld;
    this.#readOnly = readOnly;
    this.#homes = new IndexHomes(readOnly);
  }

  /** One after the other, so that as much memory is taken however many layers are planned at once. */
  async locate(table: PieceTable, options: LocateOptions = {}): Promise<LocalPlaces> {
    const before = this.#turn;
    const mine = Promise.withResolvers<void>();
    this.#turn = mine.promise;
    try {
      await before;
      options.signal?.throwIfAborted();
      return await this.#locate(table, options);
    } finally {
      mine.resolve();
    }
  }

  async record(diffId: Digest, pieces: PlacedPieces): Promise<void> {
    for (const layer of await this.#listHeld()) {
      if (layer.diffId !== diffId) continue;
      using index = await this.#homes.open(layer);
      if (index === undefined) continue;
      recordPieces(index, pieces);
      await index.keep().catch(unlessReadOnly);
    }
  }

  async forget({ path, start }: LocalPlace): Promise<void> {
    for (const layer of await this.#listHeld()) {
      const ref = layer.form === "devices" ? layer.roots.indexOf(path) : path.startsWith(`${layer.roots[0]}/`) ? 0 : -1;
      if (ref < 0) continue;
      using index = await this.#homes.open(layer);
      const known =
        index && (layer.form === "devices" ? ref : index.refOf(path.slice((layer.roots[0]?.length ?? 0) + 1)));
      if (known !== undefined) await index?.forget(known, start).catch(unlessReadOnly);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#homes[Symbol.asyncDispose]();
  }

  async #locate(table: PieceTable, options: LocateOptions): Promise<LocalPlaces> {
    const { signal } = options;
    const wanted = new WantedSet(table);
    const sources: Source[] = [];
    const keepers: Keeper[] = [];
    const found = { wanted, sources, lease: undefined };
    if (wanted.length === 0) return new FoundPlaces(found);
    await this.#matchBlobs(wanted, sources, keepers);
    const layers = await this.#listHeld();
    const searched: Searched[] = [];
    for (const layer of layers) {
      signal?.throwIfAborted();
      matchWhole(layer, wanted, sources, keepers);
      // In a temporary folder nothing more is known either.
      if (layer.isCovered && !existsSync(join(layer.folder, KNOWN_FILE))) continue;
      searched.push(this.#searched(layer, sources.length, signal));
      sources.push({ kind: "layer", layer, index: "" });
      keepers.push({ kept: layer.kept, isThere: () => layer.isThere() });
    }
    const bytes = options.hashBytes ?? Math.max(LEAST_HASHED, HASHED_FOR_WANTED * wanted.missingBytes);
    await search(wanted, searched, { budget: { bytes }, ...(signal !== undefined && { signal }) });
    for (const [number, source] of sources.entries()) {
      if (source.kind === "layer")
        sources[number] = { ...source, index: join(await this.#homes.of(source.layer), INDEX_FILE) };
    }
    const lease = await this.#hold(wanted, keepers);
    wanted.settle();
    return new FoundPlaces({ ...found, lease });
  }

  async #matchBlobs(wanted: WantedSet, sources: Source[], keepers: Keeper[]): Promise<void> {
    const { content } = this.#store;
    for await (const { digest, size, path } of content.list({ odd: "skip" })) {
      const isThere = async (): Promise<boolean> => (await content.stat(digest).catch(() => undefined))?.size === size;
      matchFile({ digest, size, path, kept: [digest], isThere }, wanted, sources, keepers);
    }
  }

  #searched(layer: HeldLayer, source: number, signal: AbortSignal | undefined): Searched {
    return {
      source,
      open: () => this.#homes.open(layer, signal),
      rebuild: () => this.#homes.open(layer, signal, true),
    };
  }

  /** Leases what has places, and takes the places back that went before. */
  async #hold(wanted: WantedSet, keepers: readonly Keeper[]): Promise<Lease | undefined> {
    const used = [...wanted.used()];
    const digests = used.flatMap((source) => keepers[source]?.kept ?? []);
    const lease = this.#readOnly || digests.length === 0 ? undefined : await this.#lease();
    try {
      await lease?.add(...digests);
      for (const source of used) if ((await keepers[source]?.isThere()) !== true) wanted.drop(source);
      return lease;
    } catch (error) {
      await lease?.release();
      throw error;
    }
  }

  async #lease(): Promise<Lease | undefined> {
    try {
      return await this.#store.leases.create();
    } catch (error) {
      if (isVarveError(error, "STORE_READ_ONLY")) return undefined;
      throw error;
    }
  }
}

/** What keeps a source, by its number. */
interface Keeper {
  readonly kept: readonly Digest[];
  isThere(): Promise<boolean>;
}

interface WholeFile extends Keeper {
  readonly digest: Digest;
  readonly size: number;
  readonly path: string;
}

/** A file that is a wanted piece as it is. */
function matchFile(file: WholeFile, wanted: WantedSet, sources: Source[], keepers: Keeper[]): void {
  if (!file.digest.startsWith("sha256:")) return;
  const digest = Buffer.from(digestHex(file.digest), "hex");
  if (wanted.match(file.size, digest, { source: sources.length, ref: 0, start: 0 }) === 0) return;
  sources.push({ kind: "file", path: file.path });
  keepers.push(file);
}

function matchWhole(layer: HeldLayer, wanted: WantedSet, sources: Source[], keepers: Keeper[]): void {
  const { whole, roots, kept } = layer;
  const path = whole && roots[whole.root];
  if (whole === undefined || path === undefined) return;
  matchFile({ ...whole, path, kept, isThere: () => layer.isThere() }, wanted, sources, keepers);
}
