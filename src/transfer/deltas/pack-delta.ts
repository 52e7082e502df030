/** The layer of a delta image as a blob: a tar of the delta, gzip'd, in a file that nobody else can see. The same delta always gives the same bytes. */
import { compress } from "../../codec/compress.ts";
import { deltaTar, emptyTar } from "../../delta/image/delta-tar.ts";
import type { RawDelta } from "../../delta/image/threads.ts";
import { literalDelta, literalDeltaSize } from "../../delta/image/write-delta.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import { Digester, type Digest } from "../../oci/digest.ts";
import { releaseOwn, releaseUpTo } from "../../sys/release-buffer.ts";
import { UnnamedFile } from "../commit/unnamed-file.ts";
import type { TransferContext } from "../context.ts";
import { RoomWatch } from "../working-room.ts";

/** From this share of the tar on it is tried whether all of the tar, which compresses better in one piece, takes less than its delta. */
const WORTH_A_TRY = 0.4;

export interface PackedLayer {
  readonly file: UnnamedFile;
  /** Of the blob. */
  readonly digest: Digest;
  readonly size: number;
  /** Of the tar in it. */
  readonly diffId: Digest;
  /** The delta in that tar, where it was made here. */
  readonly delta: RawDelta | undefined;
}

type Place = Pick<TransferContext, "store" | "signal">;

/** What stands for a layer that both images have. The file is the caller's. @throws VarveError `NO_SPACE`, `IO` */
export function packNothing(place: Place): Promise<PackedLayer> {
  return pack(place, emptyTar(), undefined);
}

/**
 * The smaller one of the delta as it was written and one without copies, for who pulls a delta image can do nothing else than patch.
 * @param raw the delta as it was written. The file that comes back is the caller's too
 * @throws VarveError `NO_SPACE`, `IO`; the signal's reason
 */
export async function packDelta(
  place: Place,
  raw: UnnamedFile,
  delta: RawDelta,
  target: SeekableTar,
): Promise<PackedLayer> {
  await using owned = new AsyncDisposableStack();
  const packed = await pack(place, deltaTar(delta.size, givenBack(raw.read())), delta);
  owned.use(packed.file);
  if (delta.copies > 0 && delta.size >= WORTH_A_TRY * target.size) {
    const plain = await packLiteral(place, target);
    if (plain.size < packed.size) return plain;
    await plain.file[Symbol.asyncDispose]();
  }
  owned.move();
  return packed;
}

/** A delta that is already made, `size` bytes of it. The file is the caller's. @throws what the delta throws; VarveError `NO_SPACE`, `IO` */
export function packWritten(place: Place, size: number, delta: AsyncIterable<Uint8Array>): Promise<PackedLayer> {
  return pack(place, deltaTar(size, delta), undefined);
}

async function packLiteral({ store, signal }: Place, target: SeekableTar): Promise<PackedLayer> {
  const literals = literalDelta(target, { signal, onProgress: () => undefined });
  const size = literalDeltaSize(target.size);
  let delta: RawDelta | undefined;
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = await literals.next();
      if (next.done === true) return void (delta = next.value);
      yield next.value;
      releaseOwn(next.value);
    }
  };
  const packed = await pack({ store, signal }, deltaTar(size, pieces()), undefined);
  return { ...packed, delta };
}

async function pack(
  { store, signal }: Place,
  tar: AsyncIterable<Uint8Array>,
  delta: RawDelta | undefined,
): Promise<PackedLayer> {
  await using owned = new AsyncDisposableStack();
  const file = owned.use(await UnnamedFile.create(store.root));
  const [inner, outer] = [new Digester(), new Digester()];
  const room = new RoomWatch(store.root, "a delta");
  for await (const piece of compress(hashed(tar, inner), "gzip")) {
    signal.throwIfAborted();
    outer.update(piece);
    await room.grown(file.size);
    await file.append(piece);
    releaseUpTo(piece);
  }
  owned.move();
  return { file, digest: outer.digest(), size: file.size, diffId: inner.digest(), delta };
}

async function* hashed(bytes: AsyncIterable<Uint8Array>, digester: Digester): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    digester.update(piece);
    yield piece;
  }
}

/** Gigabytes pass here, in pieces that the collector would take its time for. */
async function* givenBack(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    yield piece;
    releaseOwn(piece);
  }
}
