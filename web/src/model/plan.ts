/** The plan of an update as it is drawn: each layer's bytes by where they would come from, and what the whole comes to. */
import type { LayerResult, PullResult } from "../api/types.ts";
import { KINDS, addParts, type Parts } from "./parts.ts";

export interface PlannedLayer {
  readonly layer: LayerResult;
  readonly parts: Parts;
  readonly how: string;
}

export interface PlannedUpdate {
  readonly layers: readonly PlannedLayer[];
  readonly parts: Parts;
  /** Bytes that would come over the network. */
  readonly network: number;
  /** Of the image's layers as the registry has them. */
  readonly whole: number;
}

const HOW: Readonly<Record<LayerResult["how"], string>> = {
  present: "it is here",
  full: "whole",
  resumed: "goes on where an earlier pull stopped",
  "zstd-chunked": "pieces of zstd:chunked",
  estargz: "pieces of eStargz",
  "librsync-delta": "a librsync delta",
  "tar-diff": "a tar-diff delta",
  disk: "chunk of a disk",
};

export function plannedUpdate(plan: PullResult): PlannedUpdate {
  const layers = plan.layers.map((layer) => ({ layer, parts: partsOfLayer(layer), how: HOW[layer.how] }));
  return {
    layers,
    parts: addParts(layers.map(({ parts }) => parts)),
    network: plan.bytes.network,
    whole: plan.layers.reduce((sum, { size }) => sum + size, 0),
  };
}

/** Of one that is here all is; of the others what is not told of is what an earlier pull left. */
export function partsOfLayer({ how, bytes, size }: Pick<LayerResult, "how" | "bytes" | "size">): Parts {
  const { network, local, data, zero } = bytes;
  if (how === "present") return { here: size, local: 0, data: 0, zero: 0, network: 0, total: Math.max(1, size) };
  const told = network + local + data + zero;
  const here = how === "resumed" ? Math.max(0, size - told) : 0;
  const parts = { here, local, data, zero, network };
  return {
    ...parts,
    total: Math.max(
      1,
      KINDS.reduce((sum, kind) => sum + parts[kind], 0),
    ),
  };
}
