/**
 * Several pieces at once, each lane with a buffer of its own. Reading and writing go on in the threads of Node's pool, four by default, so
 * that many lanes keep them busy and this thread only compares memory; more would only take more of it.
 */
import type { Piece } from "./pieces.ts";
import { PIECE_BYTES } from "./pieces.ts";

const LANES = 4;

/** Works off a piece; the buffer holds `PIECE_BYTES` and is the lane's alone. */
export type Work = (piece: Piece, buffer: Buffer) => Promise<void>;

/** Memory: `LANES` buffers. @throws what the first piece that fails throws, when all lanes have ended; the signal's reason */
export async function inLanes(list: Iterable<Piece>, work: Work, signal: AbortSignal): Promise<void> {
  const iterator = list[Symbol.iterator]();
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    let buffer: Buffer | undefined;
    while (failures.length === 0) {
      signal.throwIfAborted();
      const next = iterator.next();
      if (next.done === true) return;
      buffer ??= Buffer.allocUnsafeSlow(PIECE_BYTES);
      await work(next.value, buffer);
    }
  };
  await Promise.all(Array.from({ length: LANES }, () => lane().catch((error: unknown) => failures.push(error))));
  if (failures.length > 0) throw failures[0];
}
