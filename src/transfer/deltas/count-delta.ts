/** What a delta does, by its own bytes alone: read once, nothing of it kept. */
import { readDelta } from "../../codec/librsync/delta-parser.ts";
import { measureTarDiff } from "../../codec/tar-diff/measure.ts";
import { librsyncOf } from "./open-delta.ts";
import type { LayerDelta } from "./types.ts";

export interface DeltaCounts {
  /** Of the delta, without the tar that it may be in. */
  readonly deltaBytes: number;
  readonly commands: number;
  readonly copiedBytes: number;
  readonly addedBytes: number;
  readonly literalBytes: number;
}

/** @param blob as it is in the registry @throws VarveError `DELTA_INVALID`, `COMPRESSION_INVALID`; what the blob throws */
export async function countDelta(
  how: LayerDelta["how"],
  blob: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<DeltaCounts> {
  let deltaBytes = 0;
  const counted = async function* (pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      signal.throwIfAborted();
      deltaBytes += piece.length;
      yield piece;
    }
  };
  if (how === "tar-diff") {
    const { operations, copied, added, data } = await measureTarDiff(counted(blob), { signal });
    return { deltaBytes, commands: operations, copiedBytes: copied, addedBytes: added, literalBytes: data };
  }
  let [commands, copiedBytes, literalBytes] = [0, 0, 0];
  const all = blob[Symbol.asyncIterator]();
  const lent = { [Symbol.asyncIterator]: () => ({ next: () => all.next() }) };
  try {
    for await (const op of readDelta(counted(librsyncOf(lent, signal)))) {
      if (op.kind === "copy") copiedBytes += op.length;
      else literalBytes += op.bytes.length;
      if (op.kind === "copy" || op.left === 0) commands++;
    }
    // To its end, where its digest is compared.
    while ((await all.next()).done !== true) signal.throwIfAborted();
  } finally {
    await all.return?.();
  }
  return { deltaBytes, commands, copiedBytes, addedBytes: 0, literalBytes };
}
