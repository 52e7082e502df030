/** Comparisons in the thread of who asks for them; they let others have their turn now and then. */
import type { Base } from "../../codec/librsync/base.ts";
import { DirectDeltas } from "../../codec/librsync/direct/generate.ts";
import type { BaseIndex, CompareOptions, DeltaThreads } from "./threads.ts";
import { writeDelta } from "./write-delta.ts";
import { writeTarDiff } from "./write-tar-diff.ts";

/** Bytes for the index of a base. What compresses and reads beside it takes more room than a comparison of plain files has beside it. */
const INDEX_BYTES = 288 << 20;

export function inThisThread(): DeltaThreads {
  return { lanes: 1, index, tarDiff: writeTarDiff };
}

async function index(base: Base, { signal, onProgress }: CompareOptions): Promise<BaseIndex> {
  const deltas = await DirectDeltas.over(base, { memory: INDEX_BYTES, signal, onIndexed: onProgress });
  return {
    write: (target, output, options) => writeDelta(deltas, target, output, options),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
