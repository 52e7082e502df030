/**
 * Reads a blob while it is still arriving: from byte 0 along the contiguous front of its ingest until the size is
 * reached. What comes out is not verified as a whole yet, so nothing made of it may be published before the assembly
 * has succeeded.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Ingest } from "../store/types.ts";

/** What is followed: an ingest, or anything that grows from its start like one. */
export type GrowingBytes = Pick<Ingest, "size" | "front" | "waitFront" | "read">;

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** Most bytes per chunk. Default 1 MiB, the size at which zlib is fastest. */
  readonly chunkSize?: number;
}

/**
 * The bytes of an ingest in order, as they become contiguous. Each chunk is a fresh buffer that belongs to the consumer;
 * one chunk is read ahead while the consumer works on the last.
 *
 * @throws whatever the ingest failed with; VarveError `INTERRUPTED` when it was closed before it was complete
 */
export async function* followFront(
  ingest: GrowingBytes,
  { signal, chunkSize = 1 << 20 }: FollowOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  if (ingest.size === 0) return;
  let position = 0;
  let ahead = readNext(ingest, position, chunkSize, signal);
  while (position < ingest.size) {
    const chunk = await ahead;
    position += chunk.length;
    if (position < ingest.size) {
      ahead = readNext(ingest, position, chunkSize, signal);
      ahead.catch(() => {}); // seen at the next turn, or not wanted any more when the consumer has left
    }
    yield chunk;
  }
}

async function readNext(
  ingest: GrowingBytes,
  position: number,
  chunkSize: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  signal?.throwIfAborted();
  await ingest.waitFront(position, signal);
  signal?.throwIfAborted();
  const length = Math.min(chunkSize, ingest.front - position);
  if (length <= 0) {
    throw new VarveError("INTERRUPTED", `closed when ${position} of ${ingest.size} bytes were here`);
  }
  return ingest.read(position, length);
}
