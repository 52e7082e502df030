/**
 * Deltas that a registry has for the layers of an image that is pulled, found once and when a layer is asked for first. What the pull itself adds is no
 * base: which of its layers is ready first is chance.
 */
import { toVarveError } from "../../../errors/from-system.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import type { ImageConfig } from "../../../oci/config.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { Manifest } from "../../../oci/manifest.ts";
import type { Reference } from "../../../oci/reference.ts";
import type { TransferContext } from "../../context.ts";
import type { UnpackTask } from "../../present-layer.ts";
import type { Tally } from "../../tally.ts";
import type { ChainTars } from "../chain/chain-tars.ts";
import type { DeltaVia, LayerDelta, LayerDeltas, LayerTars } from "../types.ts";
import { findDeltas } from "./find-manifests.ts";
import { HeldBases } from "./held-bases.ts";
import type { ListedDelta } from "./read-manifest.ts";

/** Of one layer. More are of no use: each is tried only when the one before it has failed. */
const MOST_OF_LAYER = 4;
/** What the whole image may wait for, it need not wait for this: a registry that has trouble with lists may be fine otherwise. */
const LONGEST_MS = 5000;
export interface RegistryDeltasOptions {
  /** As it was resolved. */
  readonly image: {
    readonly reference: Reference;
    readonly manifest: Pick<Manifest, "digest" | "config" | "layers">;
    readonly config: Pick<ImageConfig, "rootfs"> | undefined;
  };
  /** Opened when there is a delta to look for bases of. Stays the caller's. */
  readonly tars: () => Promise<LayerTars>;
  /** Counts what is asked and what comes. */
  readonly tally: Tally;
  /** As in `FindOptions`. */
  readonly longestMs?: number;
  /** Told what makes bases that are not held. Default: deltas from such are of no use. */
  readonly chains?: Pick<ChainTars, "add">;
}

/** What is known of the deltas of one image. */
type Usable = readonly UsableDelta[];

export interface UsableDelta extends ListedDelta {
  /** DiffIDs. */
  readonly base: readonly Digest[];
  readonly via?: DeltaVia;
}

interface Found {
  readonly listed: readonly ListedDelta[];
  /** Of the deltas of all images of the repository. */
  readonly index: readonly Descriptor[];
  readonly usable: Usable;
}

export class RegistryDeltas implements LayerDeltas {
  readonly isOnlyWay = false;
  readonly #context: TransferContext;
  readonly #options: RegistryDeltasOptions;
  readonly #closing = new AbortController();
  readonly #problems: string[] = [];
  #found: Promise<Usable> | undefined;

  constructor(context: TransferContext, options: RegistryDeltasOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** @throws the signal's reason; VarveError as the store's database */
  async of({ diffId, blob, reference }: UnpackTask): Promise<readonly LayerDelta[]> {
    this.#found ??= this.#find();
    const own = (await this.#found).filter(({ to }) => to === diffId || to === blob.digest);
    return distinct(own)
      .slice(0, MOST_OF_LAYER)
      .map((delta) => ofLayer(delta, diffId, reference));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new VarveError("INTERRUPTED", "nobody needs the deltas any more"));
    await this.#found?.catch(() => undefined);
  }

  async #find(): Promise<Usable> {
    const { registry, onProgress, signal, store } = this.#context;
    const { image, tally, longestMs } = this.#options;
    const { digest, layers } = image.manifest;
    const wanted = new Set([...(image.config?.rootfs.diffIds ?? []), ...layers.map((layer) => layer.digest)]);
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    const held = new HeldBases(store, this.#options.tars, ended);
    const target = { reference: image.reference, digest };
    let isAnyListed = false;
    const { deltas: listed, index } = await findDeltas(target, {
      registry,
      signal: ended,
      onEvent: tally.telling(onProgress),
      wanted,
      own: ownNames(image),
      held: async (bases) => {
        isAnyListed = true;
        return held.of(bases);
      },
      onProblem: (error) => this.#problems.push(messageOf(error)),
      ...(longestMs !== undefined && { longestMs }),
    });
    const usable: UsableDelta[] = [];
    for (const delta of listed) {
      const base = await held.allOf(delta.from);
      if (base !== undefined) usable.push({ ...delta, base });
    }
    if (isAnyListed && index.length > 0) usable.push(...(await this.#chained(ended, { listed, index, usable }, held)));
    if (usable.length === 0) this.#tell();
    return usable;
  }

  /** Deltas of the layers that have none, from layers that others make. */
  async #chained(ended: AbortSignal, { listed, index, usable }: Found, held: HeldBases): Promise<Usable> {
    const { image, chains, tally } = this.#options;
    if (chains === undefined) return [];
    const own = ownNames(image);
    const wanted = new Set<Digest>();
    for (const [at, { digest }] of image.manifest.layers.entries()) {
      const diffId = image.config?.rootfs.diffIds[at];
      if (usable.some(({ to }) => to === digest || to === diffId)) continue;
      if (diffId === undefined || (await held.diffIdOf(diffId)) === undefined) wanted.add(diffId ?? digest).add(digest);
    }
    if (wanted.size === 0) return [];
    const { findChains } = await import("../chain/find-chains.ts");
    const { chainedDeltas } = await import("../chain/chained-deltas.ts");
    const { registry, onProgress } = this.#context;
    const { reference } = image;
    const isHeld = async (name: Digest): Promise<boolean> => (await held.diffIdOf(name)) !== undefined;
    const onEvent = tally.telling(onProgress);
    const found = await untilLate(ended, (signal) =>
      findChains({ registry, reference, index, listed, wanted, own, direct: usable, isHeld, signal, onEvent }),
    ).catch((error: unknown) => {
      ended.throwIfAborted();
      this.#problems.push(messageOf(error));
      return [];
    });
    const { via, deltas } = await chainedDeltas(found, { reference, diffIdOf: (name) => held.diffIdOf(name) });
    chains.add(via);
    return deltas;
  }

  /** What is broken is told of once, where it may have kept a delta from being found. */
  #tell(): void {
    const [problem] = this.#problems;
    if (problem === undefined) return;
    const message = `deltas cannot be looked for: ${problem}`;
    this.#options.tally.warnings.push(message);
    this.#context.onProgress({ type: "warning", message });
  }
}

function ofLayer({ how, blob, base, size, via }: UsableDelta, diffId: Digest, reference: Reference): LayerDelta {
  const known = { ...(size !== undefined && { size }), ...(via !== undefined && { via }) };
  return { how, diffId, blob, reference, base, ...known };
}

/** Digests of all that the image consists of. */
function ownNames({ manifest, config }: RegistryDeltasOptions["image"]): ReadonlySet<Digest> {
  const layers = manifest.layers.map((layer) => layer.digest);
  return new Set([...(config?.rootfs.diffIds ?? []), ...layers, manifest.digest, manifest.config.digest]);
}

/** The smallest first, each once. Of a blob that is said to have several sizes, one is true. */
function distinct(deltas: Usable): Usable {
  const inOrder = deltas.toSorted((a, b) => a.blob.size - b.blob.size || (a.blob.digest < b.blob.digest ? -1 : 1));
  return [...new Map(inOrder.map((delta) => [`${delta.blob.digest} ${delta.blob.size}`, delta])).values()];
}

async function untilLate<T>(signal: AbortSignal, work: (hurried: AbortSignal) => Promise<T>): Promise<T> {
  return work(AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]));
}

function messageOf(thrown: unknown): string {
  const { code, message } = toVarveError(thrown, "looking for deltas");
  return `${code}: ${message}`;
}
