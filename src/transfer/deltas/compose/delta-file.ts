/** The deltas that the layers of a delta image hold: as they come, and in files whose literals can be read in any order, as often as they are copied. */
import { formatBytes } from "../../../errors/amounts.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import { freeSpace } from "../../../sys/free-space.ts";
import type { TransferContext } from "../../context.ts";
import type { DeltaImageLayer } from "../delta-image.ts";
import { librsyncOf } from "../open-delta.ts";
import type { OpenDeltaImage } from "./open-delta-image.ts";
import { WorkFile } from "./work-file.ts";

/** Bytes after which the room is looked at again, for a delta of a few bytes may inflate to any number. */
const LOOK_BYTES = 64 << 20;
/** What is left to others on the disk. */
const SPARE_BYTES = 64 << 20;

/** The delta in a file that nobody else can see. @throws VarveError as {@link readLayerDelta}; `NO_SPACE`, `IO` */
export async function openDeltaFile(
  { store, signal }: Pick<TransferContext, "store" | "signal">,
  image: OpenDeltaImage,
  layer: DeltaImageLayer,
  onRead: (bytes: number) => void,
): Promise<WorkFile> {
  await using opened = new AsyncDisposableStack();
  const file = opened.use(await WorkFile.create(store.root));
  let looked = -LOOK_BYTES;
  for await (const piece of readLayerDelta(image, layer, { signal, onRead })) {
    if (file.size - looked >= LOOK_BYTES) {
      await ensureRoom(store.root, layer);
      looked = file.size;
    }
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
  { source }: OpenDeltaImage,
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

async function ensureRoom(directory: string, { diffId }: DeltaImageLayer): Promise<void> {
  const free = await freeSpace(directory).catch(() => undefined);
  const needed = LOOK_BYTES + SPARE_BYTES;
  if (free === undefined || free >= needed) return;
  const figures = `${formatBytes(needed)} are needed, ${formatBytes(free)} are free`;
  throw new VarveError("NO_SPACE", `the delta of layer ${diffId} may not fit into ${directory}: ${figures}`, {
    detail: { needed, free, missing: needed - free },
  });
}
