/**
 * Finds the delta manifests of an image in its registry: among what refers to it (distribution-spec "Listing Referrers", or its fallback tag), in the
 * repository's index of deltas, and, where neither has any, under the tag of the older scheme (formats "tar-diff" §2). That there are none is no news.
 */
import { isVarveError, VarveError } from "../../../errors/varve-error.ts";
import {
  DELTA_CONFIG_MEDIA_TYPE,
  DELTA_INDEX_TAG,
  DELTA_TARGET,
  oldDeltaTag,
  VARVE_DELTA_BASE,
} from "../../../oci/delta-names.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { Index, Manifest } from "../../../oci/manifest.ts";
import { isManifestType } from "../../../oci/media-types.ts";
import { withTag, type Reference } from "../../../oci/reference.ts";
import type { Caller } from "../../../registry/attempts.ts";
import type { RegistryClient } from "../../../registry/client.ts";
import type { TransportEvent } from "../../../registry/blob-source.ts";
import { inParallel } from "../../in-parallel.ts";
import { readBases, readDeltaManifest, type ListedDelta } from "./read-manifest.ts";

/** Of those that are listed, so many are read: the likeliest to be of use. */
const MOST_READ = 8;
const READ_AT_ONCE = 4;
const LONGEST_MS = 5000;

export interface DeltaTarget {
  readonly reference: Reference;
  /** Of the image's manifest. */
  readonly digest: Digest;
}

export interface FindOptions {
  readonly registry: RegistryClient;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TransportEvent) => void;
  /** DiffIDs of the layers that are wanted, and digests of their blobs. Of other layers' deltas nothing is kept. */
  readonly wanted: ReadonlySet<Digest>;
  /** All that the image names. A delta that has the name of what it is to make, or of what somebody else is getting, would be waited for by who gets it. */
  readonly own: ReadonlySet<Digest>;
  /** Which of these layers are held, by DiffID or by the blob's digest. */
  readonly held: (bases: readonly Digest[]) => Promise<readonly Digest[]>;
  /**
   * What the whole image may wait for, each question here need not: a registry that has trouble with lists may be fine otherwise. Milliseconds, default
   * 5000.
   */
  readonly longestMs?: number;
  /** Told of what there is and cannot be used, and of what nobody can tell. */
  readonly onProblem: (error: unknown) => void;
}

export interface FoundDeltas {
  /** Of layers that are wanted, of each manifest once. */
  readonly deltas: readonly ListedDelta[];
  /** What the repository's index of deltas has, for whatever images. */
  readonly index: readonly Descriptor[];
}

/** @throws the signal's reason */
export async function findDeltas(target: DeltaTarget, options: FindOptions): Promise<FoundDeltas> {
  const ask = new DeltaQuestions(target, options);
  const [referring, index] = await Promise.all([ask.referrers(), ask.index()]);
  const indexed = index.filter(({ annotations }) => annotations?.[DELTA_TARGET] === target.digest);
  const listed = [...new Map([...referring, ...indexed].map((one) => [one.digest, one])).values()];
  if (listed.length === 0) return { deltas: await ask.old(), index };
  const found = new Map<Digest, readonly ListedDelta[]>();
  const promising = await mostPromising(listed, options.held);
  await inParallel(promising, READ_AT_ONCE, async (one) => {
    found.set(one.digest, await ask.listed(one));
  });
  return { deltas: promising.flatMap(({ digest }) => found.get(digest) ?? []), index };
}

class DeltaQuestions {
  readonly #target: DeltaTarget;
  readonly #options: FindOptions;

  constructor(target: DeltaTarget, options: FindOptions) {
    this.#target = target;
    this.#options = options;
  }

  async referrers(): Promise<readonly Descriptor[]> {
    const { registry } = this.#options;
    const { reference, digest } = this.#target;
    const artifactType = DELTA_CONFIG_MEDIA_TYPE;
    const listed = await this.#try((caller) => registry.referrers(reference, digest, { ...caller, artifactType }));
    return (listed ?? []).filter(({ mediaType }) => isManifestType(mediaType));
  }

  async index(): Promise<readonly Descriptor[]> {
    const index = await this.#try((caller) => this.#tagged(DELTA_INDEX_TAG, caller));
    return index?.kind === "index" ? index.manifests.filter(({ mediaType }) => isManifestType(mediaType)) : [];
  }

  async old(): Promise<readonly ListedDelta[]> {
    return this.#read((caller) => this.#tagged(oldDeltaTag(this.#target.digest), caller));
  }

  async listed({ digest, size, mediaType }: Descriptor): Promise<readonly ListedDelta[]> {
    const { registry } = this.#options;
    const { reference } = this.#target;
    return this.#read((caller) => registry.fetchManifest(reference, { ...caller, digest, size, mediaType }));
  }

  async #read(fetch: (caller: Caller) => Promise<Manifest | Index>): Promise<readonly ListedDelta[]> {
    const read = async (caller: Caller): Promise<readonly ListedDelta[]> => {
      const document = await fetch(caller);
      const all = document.kind === "manifest" ? readDeltaManifest(document, this.#target.digest) : [];
      const { wanted, own } = this.#options;
      const lying = all.find(({ blob }) => own.has(blob.digest));
      if (lying === undefined) return all.filter(({ to }) => wanted.has(to));
      const message = `manifest ${document.digest} has a delta that is a part of the image: ${lying.blob.digest}`;
      throw new VarveError("DELTA_INVALID", message);
    };
    return (await this.#try(read)) ?? [];
  }

  /** Asked first what the tag means: where it means nothing, as it mostly does, nothing comes, and no registry counts it as a pull. */
  async #tagged(tag: string, caller: Caller): Promise<Manifest | Index> {
    const { registry } = this.#options;
    const { host, name } = this.#target.reference;
    const { digest, size, mediaType } = await registry.resolve(withTag({ host, name }, tag), caller);
    return registry.fetchManifest({ host, name }, { ...caller, digest, size, mediaType });
  }

  /** Undefined where there is nothing, or nobody is told. */
  async #try<T>(ask: (caller: Caller) => Promise<T>): Promise<T | undefined> {
    const { signal, onEvent, onProblem, longestMs = LONGEST_MS } = this.#options;
    const late = AbortSignal.timeout(longestMs);
    try {
      return await ask({ signal: AbortSignal.any([signal, late]), onEvent });
    } catch (error) {
      signal.throwIfAborted();
      if (late.aborted) onProblem(tooLate(this.#target, longestMs));
      else if (!isNothing(error)) onProblem(error);
      return undefined;
    }
  }
}

function tooLate({ reference: { host } }: DeltaTarget, ms: number): VarveError {
  return new VarveError("REGISTRY_TIMEOUT", `${host} has not answered within ${ms / 1000} seconds`);
}

/** Some registries refuse the very question for what is not there. */
function isNothing(error: unknown): boolean {
  return (
    isVarveError(error, "MANIFEST_UNKNOWN") || isVarveError(error, "UNAUTHORIZED") || isVarveError(error, "DENIED")
  );
}

/** Those with the most of their base here come first; those that say what theirs is, and have none of it here, are not read. */
async function mostPromising(listed: readonly Descriptor[], held: FindOptions["held"]): Promise<readonly Descriptor[]> {
  const promising: { readonly descriptor: Descriptor; readonly share: number }[] = [];
  for (const descriptor of listed) {
    const bases = readBases(descriptor.annotations?.[VARVE_DELTA_BASE]);
    const share = bases === undefined ? 1 : (await held(bases)).length / bases.length;
    if (share > 0) promising.push({ descriptor, share });
  }
  // Of a registry's order nothing is known, and the pull is to be as its plan was.
  const inOrder = promising.toSorted(
    (a, b) => b.share - a.share || (a.descriptor.digest < b.descriptor.digest ? -1 : 1),
  );
  return inOrder.slice(0, MOST_READ).map(({ descriptor }) => descriptor);
}
