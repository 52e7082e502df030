/**
 * How a disk is cut into chunks (formats "tart" §2): all of one size, the last one shorter; and where each has data, as far as the disk's holes
 * tell. Holes are never read (sparse-files, 1).
 */
import { setImmediate as turn } from "node:timers/promises";
import { VarveError } from "../../errors/varve-error.ts";
import type { Extent } from "../../sys/sparse.ts";

/** Smaller ones are of no use: each is a request of its own, and 4 MiB of manifest can name some 11,000 of them. */
export const LEAST_CHUNK_BYTES = 1 << 20;
/** Zeros of larger ones are recognised by nobody. */
export const MOST_CHUNK_BYTES = 1 << 30;
/** Chunks are cut at multiples of the windows that are holes when a disk is put together again. */
const CHUNK_UNIT = 64 << 10;
/** Holes that are smaller are read over: there may be millions of them. */
const NEAR = 64 << 10;
const TURN = 2000;

export interface PlannedChunk {
  /** Of its first byte in the disk. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** What is data of it, small holes included, by positions in the disk; the rest reads as zeros. */
  readonly runs: readonly Extent[];
}

/** @throws VarveError `USAGE` */
export function checkChunkSize(bytes: number): void {
  if (bytes >= LEAST_CHUNK_BYTES && bytes <= MOST_CHUNK_BYTES && bytes % CHUNK_UNIT === 0) return;
  throw new VarveError("USAGE", `chunks of a disk cannot have ${bytes} bytes`, {
    hint: "choose a multiple of 64 KiB from 1 MiB to 1 GiB",
  });
}

/**
 * Runs of data, those that are near to each other as one: a file may have millions of them. Each question is one to the system, so others get a turn
 * in between.
 * @throws the signal's reason
 */
export async function dataRuns(extents: Iterable<Extent>, signal: AbortSignal): Promise<Extent[]> {
  const runs: Extent[] = [];
  let asked = 0;
  for (const extent of extents) {
    const last = runs.at(-1);
    const isNear = last !== undefined && extent.offset - last.offset - last.length < NEAR;
    if (isNear) runs[runs.length - 1] = { offset: last.offset, length: extent.offset + extent.length - last.offset };
    else runs.push(extent);
    if (++asked % TURN !== 0) continue;
    await turn();
    signal.throwIfAborted();
  }
  return runs;
}

/** @param extents the disk's runs of data, ascending */
export function* chunksOf(size: number, extents: Iterable<Extent>, chunkSize: number): Generator<PlannedChunk> {
  const left = Iterator.from(extents);
  let run = left.next().value;
  for (let offset = 0; offset < size; offset += chunkSize) {
    const end = Math.min(offset + chunkSize, size);
    const runs: Extent[] = [];
    while (run !== undefined && run.offset < end) {
      const start = Math.max(run.offset, offset);
      const stop = Math.min(run.offset + run.length, end);
      runs.push({ offset: start, length: stop - start });
      if (stop === end && run.offset + run.length > end) break;
      run = left.next().value;
    }
    yield { offset, size: end - offset, runs };
  }
}
