/** The layer of a delta image (formats "balena-delta" §2): a tar of one file, the delta; of a layer in common an empty tar. */
import { encodeTarEntry, TAR_END, tarPadding } from "../../codec/tar/header.ts";

/** @param delta of `size` bytes, in pieces that are passed on */
export async function* deltaTar(
  size: number,
  delta: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield encodeTarEntry({ name: "delta", type: "file", mode: 0o600, size });
  yield* delta;
  yield tarPadding(size);
  yield TAR_END;
}

/** Not a single entry. */
export async function* emptyTar(): AsyncGenerator<Uint8Array, void, undefined> {
  yield TAR_END;
}
