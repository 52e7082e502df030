/** Chains of deltas as a pull uses them: what makes the layers between, and the deltas from these, each with its share of what they cost. */
import type { Digest } from "../../../oci/digest.ts";
import type { Reference } from "../../../oci/reference.ts";
import type { UsableDelta } from "../discover/registry-deltas.ts";
import type { ListedDelta } from "../discover/read-manifest.ts";
import type { DeltaVia, LayerDelta } from "../types.ts";
import type { Chain } from "./resolve-chains.ts";

export interface ChainedDeltas {
  readonly via: readonly LayerDelta[];
  readonly deltas: readonly UsableDelta[];
}

export interface ChainedDeltasOptions {
  /** Of the repository. */
  readonly reference: Reference;
  /** DiffID of a layer that is held. */
  readonly diffIdOf: (name: Digest) => Promise<Digest | undefined>;
}

export async function chainedDeltas(
  chains: readonly Chain[],
  { reference, diffIdOf }: ChainedDeltasOptions,
): Promise<ChainedDeltas> {
  const users = new Map<ListedDelta, number>();
  for (const { via } of chains) for (const delta of via) users.set(delta, (users.get(delta) ?? 0) + 1);
  // What is not held has the name that it is made under, which is checked as a DiffID.
  const baseOf = ({ from }: ListedDelta): Promise<Digest[]> =>
    Promise.all(from.map(async (name) => (await diffIdOf(name)) ?? name));
  const via: LayerDelta[] = [];
  for (const delta of users.keys()) {
    const { how, blob, to: diffId, size } = delta;
    via.push({ how, blob, diffId, reference, base: await baseOf(delta), ...(size !== undefined && { size }) });
  }
  const deltas: UsableDelta[] = [];
  for (const { delta, via: before } of chains) {
    const share = (of: (one: ListedDelta) => number): number =>
      Math.ceil(before.reduce((sum, one) => sum + of(one) / users.get(one)!, 0));
    const cost: DeltaVia = {
      deltas: before.length,
      bytes: share(({ blob }) => blob.size),
      made: share(({ size = 0 }) => size),
    };
    deltas.push({ ...delta, base: await baseOf(delta), ...(before.length > 0 && { via: cost }) });
  }
  return { via, deltas };
}
