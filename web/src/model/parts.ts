/** What a strip is made of: the bytes of a layer by where they come from, in the order in which they are drawn. */
import type { ByteCounts } from "../api/types.ts";

export const KINDS = ["here", "local", "data", "zero", "network"] as const;
export type Kind = (typeof KINDS)[number];

/** Bytes of the target; what is missing to `total` is not here yet. */
export interface Parts extends Readonly<Record<Kind, number>> {
  readonly total: number;
}

export const KIND_WORDS: Readonly<Record<Kind | "missing", { readonly name: string; readonly means: string }>> = {
  here: { name: "here before", means: "whole from earlier, or left by a pull that was cut off" },
  local: { name: "from this machine", means: "copied out of other layers and files that it holds" },
  data: { name: "delta or index", means: "bytes that came with a delta, or with the index of a layer's pieces" },
  zero: { name: "zeros", means: "runs of zeros that nobody sends or stores" },
  network: { name: "network", means: "came, or has to come, from a registry" },
  missing: { name: "missing", means: "not here yet" },
};

/**
 * Shares of what is done. Bytes received may be fewer than the bytes they become, because frames are compressed, and more, because a
 * transfer was begun again: the strip is of the target's bytes, and the network's share is what nothing else explains.
 */
export function partsOf(counts: Readonly<ByteCounts>, place: { before: number; done: number; total: number }): Parts {
  const total = Math.max(place.total, place.done, 1);
  const here = Math.min(place.before, place.done);
  const came = place.done - here;
  const known = counts.local + counts.data + counts.zero;
  const squeeze = known > came && known > 0 ? came / known : 1;
  const [local, data, zero] = [counts.local * squeeze, counts.data * squeeze, counts.zero * squeeze];
  const rest = Math.max(0, came - local - data - zero);
  // Without a byte received it was here in another way.
  return counts.network > 0
    ? { here, local, data, zero, network: rest, total }
    : { here: here + rest, local, data, zero, network: 0, total };
}

export function addParts(all: readonly Parts[]): Parts {
  const sum = { here: 0, local: 0, data: 0, zero: 0, network: 0, total: 0 };
  for (const parts of all) {
    for (const kind of KINDS) sum[kind] += parts[kind];
    sum.total += parts.total;
  }
  return sum;
}

export function missingOf(parts: Parts): number {
  return Math.max(0, parts.total - KINDS.reduce((sum, kind) => sum + parts[kind], 0));
}
