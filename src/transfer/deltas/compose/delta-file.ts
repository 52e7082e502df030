/** The deltas that the layers of a delta image hold: as they come, and in files whose literals can be read in any order, as often as they are copied. */
import type { TransferContext } from "../../context.ts";
import { ensureWorkingRoom, RoomWatch } from "../../working-room.ts";
import type { DeltaImageLayer } from "../delta-image.ts";
import { librsyncOf } from "../open-delta.ts";
import type { GivenDelta } from "./given-delta.ts";
import { WorkFile } from "./work-file.ts";

/** The delta in a file that nobody else can see. @throws VarveError as {@link readLayerDelta}; `NO_SPACE`, `IO` */
export async function openDeltaFile(
  { store, signal }: Pick<TransferContext, "store" | "signal">,
  image: GivenDelta,
  layer: DeltaImageLayer,
  onRead: (bytes: number) => void,
): Promise<WorkFile> {
  await using opened = new AsyncDisposableStack();
  const file = opened.use(await WorkFile.create(store.root));
  const what = `the delta of layer ${layer.diffId}`;
  await ensureWorkingRoom(store.root, layer.blob.size, what);
  const room = new RoomWatch(store.root, what);
  for await (const piece of readLayerDelta(image, layer, { signal, onRead })) {
    await room.grown(file.size);
    await file.append(piece);
  }
  opened.move();
  return file;
}

export interface ReadDeltaOptions {
  readonly signal: AbortSignal;
  /** Told how many bytes of the blob came, each time. */
  readonly onRead: (bytes: number) => void;
}

/**
 * The delta's bytes, lent until the next are asked for. The blob is read to its end, for only there it is known to be what its digest says.
 * @throws VarveError `DELTA_INVALID`; what the image's place throws: `DIGEST_MISMATCH`, `BLOB_UNKNOWN` ...
 */
export async function* readLayerDelta(
  { source }: GivenDelta,
  { blob }: DeltaImageLayer,
  { signal, onRead }: ReadDeltaOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = source.blob(blob, signal)[Symbol.asyncIterator]();
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    signal.throwIfAborted();
    const result = await bytes.next();
    if (result.done !== true) onRead(result.value.length);
    return result;
  };
  try {
    // It may stop where the delta ends, and that must not end the blob.
    yield* librsyncOf({ [Symbol.asyncIterator]: () => ({ next }) }, signal);
    while ((await next()).done !== true);
  } finally {
    await bytes.return?.();
  }
}
