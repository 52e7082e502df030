/** A tar from its first byte to its last, the next piece on its way while one is looked at. */
import type { Base } from "../../codec/librsync/base.ts";

const PIECE_BYTES = 1 << 20;

/** Pieces are lent until the next is asked for. Where they are cut does not depend on how fast anything is. */
export async function* readThrough(
  tar: Base,
  { signal }: { readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, undefined> {
  const read = async (position: number, buffer: Uint8Array): Promise<Uint8Array> => {
    const piece = buffer.subarray(0, Math.min(PIECE_BYTES, tar.size - position));
    await tar.read(piece, position);
    return piece;
  };
  const buffers = [PIECE_BYTES, PIECE_BYTES].map((bytes) => new Uint8Array(Math.min(bytes, tar.size)));
  let ahead: Promise<Uint8Array> | undefined;
  try {
    for (let position = 0, turn = 0; position < tar.size; position += PIECE_BYTES, turn = 1 - turn) {
      signal.throwIfAborted();
      const piece = await (ahead ?? read(position, buffers[turn]!));
      const next = position + PIECE_BYTES;
      ahead = next < tar.size ? read(next, buffers[1 - turn]!) : undefined;
      // What fails ahead fails when its turn comes.
      ahead?.catch(() => undefined);
      yield piece;
    }
  } finally {
    // The buffer is the read's until it has ended.
    await ahead?.catch(() => undefined);
  }
}
