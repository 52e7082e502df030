/**
 * Which deltas lead to a layer by way of layers that nobody has: a delta from B to C is of use to who holds A when others make B's layers of A's. Pure; of
 * several ways the one with the fewest bytes.
 */
import type { Digest } from "../../../oci/digest.ts";
import type { ListedDelta } from "../discover/read-manifest.ts";

/** Deltas that follow each other, the last one counted. More steps take longer than what they save. */
export const MOST_STEPS = 3;

/** A delta of a layer that is wanted. */
export interface Chain {
  readonly delta: ListedDelta;
  /** What makes the bases that are not held, each after what it needs itself. None where a delta for another image makes a layer that both have. */
  readonly via: readonly ListedDelta[];
}

interface Way {
  readonly delta: ListedDelta;
  /** Bytes of it, and of what makes its bases. */
  readonly bytes: number;
}

/**
 * @param deltas for the image's layers, and for those of other images
 * @param wanted what the layers are called: DiffIDs, and digests of their blobs
 * @param isHeld whether a layer of this name is here
 */
export function resolveChains(
  deltas: readonly ListedDelta[],
  wanted: ReadonlySet<Digest>,
  isHeld: (name: Digest) => boolean,
): readonly Chain[] {
  const ways = findWays(deltas, isHeld);
  const chains: Chain[] = [];
  for (const delta of deltas) {
    if (!wanted.has(delta.to)) continue;
    const collected: Collected = { ways, isHeld, via: new Map() };
    if (delta.from.every((base) => collect(base, MOST_STEPS - 1, collected) !== undefined)) {
      chains.push({ delta, via: Array.from(collected.via.values(), (one) => one.delta) });
    }
  }
  return chains;
}

/** The best way to each layer that is not held, in at most one step less than a chain may have. */
function findWays(deltas: readonly ListedDelta[], isHeld: (name: Digest) => boolean): ReadonlyMap<Digest, Way> {
  let ways: ReadonlyMap<Digest, Way> = new Map();
  for (let step = 1; step < MOST_STEPS; step++) {
    const next = new Map(ways);
    for (const delta of deltas) {
      if (isHeld(delta.to)) continue;
      let bytes = delta.blob.size;
      for (const base of delta.from) bytes += isHeld(base) ? 0 : (ways.get(base)?.bytes ?? Infinity);
      if (bytes < (next.get(delta.to)?.bytes ?? Infinity)) next.set(delta.to, { delta, bytes });
    }
    ways = next;
  }
  return ways;
}

interface Collected {
  readonly ways: ReadonlyMap<Digest, Way>;
  readonly isHeld: (name: Digest) => boolean;
  /** In the order in which they are applied, with how many steps each takes. */
  readonly via: Map<Digest, { readonly delta: ListedDelta; readonly steps: number }>;
}

/** @param left steps that it may take @returns those that it takes; undefined where it is made by none that short */
function collect(name: Digest, left: number, collected: Collected): number | undefined {
  const { ways, isHeld, via } = collected;
  if (isHeld(name)) return 0;
  const known = via.get(name);
  if (known !== undefined) return known.steps <= left ? known.steps : undefined;
  const way = ways.get(name);
  if (way === undefined || left === 0) return undefined;
  let steps = 1;
  for (const base of way.delta.from) {
    const below = collect(base, left - 1, collected);
    if (below === undefined) return undefined;
    steps = Math.max(steps, below + 1);
  }
  via.set(name, { delta: way.delta, steps });
  return steps;
}

/**
 * Chains without those in which something would wait for itself: while a blob comes nobody else may bring the same, and who says what is in a repository
 * may call a delta what the image's layers are called, or what makes another layer's base.
 * @param own digests of the image's own parts
 * @param direct deltas that the image's layers are made by without any other
 */
export function withoutKnots(
  chains: readonly Chain[],
  own: ReadonlySet<Digest>,
  direct: readonly ListedDelta[],
): readonly Chain[] {
  const layers = new Set(own);
  for (const { from, to } of chains.flatMap(({ delta, via }) => via.concat(delta))) {
    for (const name of from) layers.add(name);
    layers.add(to);
  }
  const [waiting, others] = [true, false].map((isWaiting) => {
    return chains.filter(({ via }) => via.length > 0 === isWaiting).map(({ delta }) => delta);
  }) as [ListedDelta[], ListedDelta[]];
  const last = new Set(waiting.map(({ blob }) => blob.digest));
  const makes = new Map([...direct, ...others].map(({ blob, to }) => [blob.digest, to]));
  const isFirst = ({ blob, to }: ListedDelta): boolean =>
    !layers.has(blob.digest) && !last.has(blob.digest) && (makes.get(blob.digest) ?? to) === to;
  return chains.filter(({ delta, via }) => !layers.has(delta.blob.digest) && via.every(isFirst));
}
