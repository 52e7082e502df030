/** The layers of a delta that is merged of two: those in common empty, the others made of what both deltas have. */
import { DeltaWriter } from "../../../codec/librsync/delta-writer.ts";
import { DeltaMeter, tellPhase } from "../../../delta/image/delta-meter.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import { chainIds } from "../../../oci/chain-id.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { TransferContext } from "../../context.ts";
import { UnnamedFile } from "../../commit/unnamed-file.ts";
import type { DeltaImageLayer } from "../delta-image.ts";
import { packNothing, packWritten, type PackedLayer } from "../pack-delta.ts";
import type { ComposedLayerResult } from "./compose-types.ts";
import { readLayerDelta } from "./delta-file.ts";
import { openMiddle, type MiddleImage, type MiddleLayer } from "./middle-image.ts";
import type { GivenDelta } from "./given-delta.ts";

export interface ComposedLayer {
  readonly packed: PackedLayer;
  readonly result: ComposedLayerResult;
}

/** What a merged delta counts. */
type Counts = DeltaWriter["counts"];

/**
 * One for each layer of the second delta's target, in order.
 * @param held what the blobs go with
 * @throws VarveError `DELTA_IMAGE_INVALID`, `DELTA_INVALID`, `DELTA_BASE_DIFFERS`, `DELTA_LIMIT`, `NO_SPACE` ...; the signal's reason
 */
export async function composeLayers(
  context: TransferContext,
  first: GivenDelta,
  second: GivenDelta,
  held: AsyncDisposableStack,
): Promise<ComposedLayer[]> {
  await using working = new AsyncDisposableStack();
  const common = countCommon(first, second);
  const layers = new Layers(context, second, held);
  const middle = common < second.image.layers.length ? await openMiddle(context, first, second, working) : undefined;
  const made: ComposedLayer[] = [];
  for (const [index, layer] of second.image.layers.entries()) {
    if (middle === undefined || index < common) made.push(await layers.common(layer));
    else made.push(await layers.merged(middle, layer, index));
  }
  return made;
}

/**
 * How many layers, from the bottom up, the first image and the last have in common: by what the first delta says of its base, else those that neither
 * delta has anything of.
 */
function countCommon(first: GivenDelta, second: GivenDelta): number {
  const { base, layers } = first.image;
  const chain = chainIds(second.image.layers.map(({ diffId }) => diffId));
  const ofBase = base === undefined ? undefined : chainIds(base);
  const differs = second.image.layers.findIndex(({ isEmpty }, index) =>
    ofBase === undefined ? !isEmpty || layers[index]?.isEmpty !== true : ofBase[index] !== chain[index],
  );
  return differs === -1 ? second.image.layers.length : differs;
}

class Layers {
  readonly #context: TransferContext;
  readonly #second: GivenDelta;
  readonly #held: AsyncDisposableStack;
  #nothing: PackedLayer | undefined;
  /** Several layers may have the same content, empty ones above all. */
  readonly #merged = new Map<Digest, ComposedLayer>();

  constructor(context: TransferContext, second: GivenDelta, held: AsyncDisposableStack) {
    this.#context = context;
    this.#second = second;
    this.#held = held;
  }

  async common({ diffId, size }: DeltaImageLayer): Promise<ComposedLayer> {
    const { onProgress: emit } = this.#context;
    tellPhase({ digest: diffId, total: size ?? 0, emit }, "common");
    this.#nothing ??= this.#keep(await packNothing(this.#context));
    const none = { deltaBytes: 0, deltaBlobBytes: 0, copies: 0, copiedBytes: 0, literals: 0, literalBytes: 0 };
    return { packed: this.#nothing, result: { diffId, how: "common", bytes: size ?? null, ...none } };
  }

  async merged(middle: MiddleImage, layer: DeltaImageLayer, index: number): Promise<ComposedLayer> {
    const known = this.#merged.get(layer.diffId);
    if (known !== undefined) return known;
    const { signal, store, onProgress: emit } = this.#context;
    await using raw = await UnnamedFile.create(store.root);
    const meter = new DeltaMeter({ digest: layer.diffId, phase: "computing", total: layer.blob.size, emit });
    let read = 0;
    const second = this.#deltaOf(middle, layer, index, (bytes) => meter.moveTo((read += bytes)));
    const counts = await this.#merge(middle, layer, second, raw);
    const packed = this.#keep(await packWritten({ store, signal }, raw.size, raw.read()));
    meter.finish();
    const { copies, copied: copiedBytes, literals, literal: literalBytes } = counts;
    const sizes = { bytes: copiedBytes + literalBytes, deltaBytes: raw.size, deltaBlobBytes: packed.size };
    const result = {
      diffId: layer.diffId,
      how: "delta",
      ...sizes,
      copies,
      copiedBytes,
      literals,
      literalBytes,
    } as const;
    const made = { packed, result };
    this.#merged.set(layer.diffId, made);
    return made;
  }

  async #merge(
    middle: MiddleImage,
    layer: DeltaImageLayer,
    second: AsyncIterable<Uint8Array>,
    raw: UnnamedFile,
  ): Promise<Counts> {
    const { signal } = this.#context;
    let counts: Counts | undefined;
    const pieces = middle.deltas.with(second, {
      signal,
      ...(layer.size !== undefined && { targetLimit: layer.size }),
      onCounts: (given) => (counts = given),
    });
    for await (const piece of pieces) await raw.append(piece);
    const made = counts!.copied + counts!.literal;
    if (layer.size === undefined || layer.size === made) return counts!;
    const message = `the delta of layer ${layer.diffId} makes ${made} bytes, and should make ${layer.size}`;
    throw new VarveError("DELTA_INVALID", message, { detail: { diffId: layer.diffId } });
  }

  /** What makes the layer of the middle image; where that has the layer at the same place, a copy of it. */
  #deltaOf(
    middle: MiddleImage,
    layer: DeltaImageLayer,
    index: number,
    onRead: (bytes: number) => void,
  ): AsyncIterable<Uint8Array> {
    if (layer.isEmpty) return copyOf(middle.layers[index]!);
    return readLayerDelta(this.#second, layer, { signal: this.#context.signal, onRead });
  }

  #keep(packed: PackedLayer): PackedLayer {
    this.#held.use(packed.file);
    return packed;
  }
}

async function* copyOf({ start, length }: MiddleLayer): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new DeltaWriter();
  writer.copy(start, length);
  writer.end();
  yield* writer.take();
}
