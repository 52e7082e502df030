/** A response's body on its way through the proxy: flipped, cut, stalled, slowed, lengthened. */
import { setTimeout as delay } from "node:timers/promises";
import { findFault, type Fault } from "./fault.ts";

/** How the body has to end, once the last of its bytes was written. */
export type Ending = "complete" | "close" | "reset" | "stall";

export interface SpoiltBody {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Valid when `bytes` came to its end. */
  ending(): Ending;
}

const SLICES_PER_SECOND = 20;

/** @param signal ends the waiting of slow bodies when the client went away */
export function spoilBody(
  source: AsyncIterable<Uint8Array>,
  faults: readonly Fault[],
  signal: AbortSignal,
): SpoiltBody {
  let ending: Ending = "complete";
  const drop = findFault(faults, "drop");
  const stall = findFault(faults, "stall");
  const truncate = findFault(faults, "truncate");
  const flip = findFault(faults, "flip");
  const append = findFault(faults, "append");
  const slow = findFault(faults, "slow");
  const limit = Math.min(drop?.afterBytes ?? Infinity, stall?.afterBytes ?? Infinity, truncate?.toBytes ?? Infinity);

  async function* cut(): AsyncGenerator<Uint8Array> {
    let position = 0;
    if (limit > 0) {
      for await (const chunk of source) {
        const piece = flipByte(chunk, (flip?.atByte ?? -1) - position).subarray(0, limit - position);
        position += piece.length;
        yield piece;
        if (position >= limit) break;
      }
    }
    if (position >= limit) ending = endingAt(limit);
    else if (append !== undefined) yield Buffer.alloc(append.bytes, 0x2b);
  }

  function endingAt(bytes: number): Ending {
    if (drop?.afterBytes === bytes) return drop.how ?? "close";
    return stall?.afterBytes === bytes ? "stall" : "complete";
  }

  const whole = cut();
  const bytes = slow === undefined ? whole : paced(whole, slow.bytesPerSecond, signal);
  return { bytes, ending: () => ending };
}

/** The body's length after the faults, when it was this long before them. */
export function spoiltLength(length: number, faults: readonly Fault[]): number {
  const truncate = findFault(faults, "truncate");
  if (truncate !== undefined) return Math.min(length, truncate.toBytes);
  return length + (findFault(faults, "append")?.bytes ?? 0);
}

function flipByte(chunk: Uint8Array, at: number): Uint8Array {
  if (at < 0 || at >= chunk.length) return chunk;
  const copy = Buffer.from(chunk);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

async function* paced(
  source: AsyncIterable<Uint8Array>,
  bytesPerSecond: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const slice = Math.max(1, Math.floor(bytesPerSecond / SLICES_PER_SECOND));
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; at += slice) {
      const piece = chunk.subarray(at, at + slice);
      yield piece;
      await delay((piece.length / bytesPerSecond) * 1000, undefined, { signal });
    }
  }
}
