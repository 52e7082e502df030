/**
 * The image between two deltas, which need not be here: where in the tars of the old image's layers, and in the first delta, the bytes of its own
 * layers come from.
 */
import { ComposedDeltas } from "../../../codec/librsync/compose/compose.ts";
import type { MiddlePart } from "../../../codec/librsync/compose/first-deltas.ts";
import { DeltaMeter } from "../../../delta/image/delta-meter.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import { FileTar } from "../../../layer/seekable/file-tar.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { TransferContext } from "../../context.ts";
import { isVerified } from "../../given-up.ts";
import { heldTar } from "../../held-tar.ts";
import { openDeltaFile } from "./delta-file.ts";
import type { GivenDelta } from "./given-delta.ts";
import { WorkFile } from "./work-file.ts";

/** A layer of the middle image: where in the tars of all of them it lies. */
export interface MiddleLayer {
  readonly start: number;
  readonly length: number;
}

export interface MiddleImage {
  readonly deltas: ComposedDeltas;
  readonly layers: readonly MiddleLayer[];
}

/**
 * Reads all deltas of the first image.
 * @param second may tell what the first does not
 * @param held what it needs files for
 * @throws VarveError `DELTA_IMAGE_INVALID` where nobody says how large a layer in common is; `DELTA_INVALID`, `DELTA_LIMIT`, `NO_SPACE` ...
 */
export async function openMiddle(
  context: TransferContext,
  first: GivenDelta,
  second: GivenDelta,
  held: AsyncDisposableStack,
): Promise<MiddleImage> {
  const { signal, store, onProgress: emit } = context;
  const parts: MiddlePart[] = [];
  const total = first.image.layers.reduce((sum, { isEmpty, blob }) => sum + (isEmpty ? 0 : blob.size), 0);
  const meter = new DeltaMeter({ digest: first.targetId, phase: "fingerprinting", total, emit });
  let read = 0;
  const onRead = (bytes: number): void => meter.moveTo((read += bytes));
  let common = 0;
  for (const layer of first.image.layers) {
    if (layer.isEmpty) {
      const length = layer.size ?? sizeBy(second, layer.diffId) ?? (await heldSize(context, layer.diffId));
      if (length === undefined) throw unknownSize(first, layer.diffId);
      // The old image has the same layers below it.
      parts.push({ kind: "same", start: common, length });
      common += length;
    } else {
      const delta = held.use(await openDeltaFile(context, first, layer, onRead));
      parts.push({ kind: "delta", delta, size: layer.size });
    }
  }
  const spill = async (): Promise<WorkFile> => held.use(await WorkFile.create(store.root));
  const deltas = await ComposedDeltas.over(parts, { signal, spill });
  meter.finish();
  return { deltas, layers: placesOf(deltas.partEnds) };
}

function placesOf(ends: readonly number[]): readonly MiddleLayer[] {
  return ends.map((end, index) => {
    const start = ends[index - 1] ?? 0;
    return { start, length: end - start };
  });
}

/** What the second delta says of a layer that both images have. */
function sizeBy({ image }: GivenDelta, diffId: Digest): number | undefined {
  return image.layers.find((layer) => layer.diffId === diffId && layer.size !== undefined)?.size;
}

/** Bytes of the layer's tar, where that was counted here. */
async function heldSize({ store }: TransferContext, diffId: Digest): Promise<number | undefined> {
  const known = (await store.layers.findByDiffId(diffId)).find(isVerified);
  if (known !== undefined) return known.uncompressedSize;
  const tar = (await heldTar(store, diffId)) ?? (await store.content.stat(diffId));
  if (tar === undefined) return undefined;
  await using file = await FileTar.open(tar.path);
  return file.size;
}

function unknownSize({ name, image: { baseId } }: GivenDelta, diffId: Digest): VarveError {
  return new VarveError(
    "DELTA_IMAGE_INVALID",
    `${name} does not say how large layer ${diffId} is, which its base has too`,
    {
      hint: `pull the image that it is made from first (${baseId}), or make the delta with varve delta create`,
      detail: { diffId },
    },
  );
}
