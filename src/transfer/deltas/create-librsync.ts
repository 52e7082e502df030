/**
 * A delta image as balena's engine reads and makes it (formats "balena-delta" §2), of the target's layers one after the other against one index of
 * the base. While one layer is compared the one before it is compressed, where two threads may be at work.
 */
import { DeltaMeter, tellPhase } from "../../delta/image/delta-meter.ts";
import type { BaseIndex, RawDelta } from "../../delta/image/threads.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { TarsAsOne } from "../../layer/seekable/concat-tars.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import type { Digest } from "../../oci/digest.ts";
import { UnnamedFile } from "../commit/unnamed-file.ts";
import type { TransferContext } from "../context.ts";
import { countCommon, openTar, type Pair } from "./create-sides.ts";
import { openBase } from "../layer-tars/open-base.ts";
import type { DeltaLayerResult, DeltaWork } from "./create-types.ts";
import { ensureWorkingRoom } from "../working-room.ts";
import { packDelta, packNothing, type PackedLayer } from "./pack-delta.ts";

type LibrsyncWork = Pair & Pick<DeltaWork, "tars" | "threads" | "jobs">;

/** A delta may have as many bytes as the layer, but mostly has far fewer; so much there has to be room for. What needs more may find the disk full. */
const LIKELY_BYTES = 64 << 20;

export interface LibrsyncLayer {
  readonly packed: PackedLayer;
  readonly result: DeltaLayerResult;
}

/** One for each layer of the target. @param held what the blobs go with */
export async function makeLibrsyncLayers(
  context: TransferContext,
  work: LibrsyncWork,
  held: AsyncDisposableStack,
): Promise<LibrsyncLayer[]> {
  const { base, target, tars } = work;
  const opening = { open: (diffId: Digest): Promise<SeekableTar> => openTar(context, tars, base, diffId) };
  await using stream = await openBase(opening, base.diffIds);
  return await new Layers(context, work, stream, held).make(countCommon(base, target));
}

class Layers {
  readonly #context: TransferContext;
  readonly #work: LibrsyncWork;
  /** All that may be copied from. */
  readonly #stream: TarsAsOne;
  readonly #held: AsyncDisposableStack;
  /** Several layers may have the same content, empty ones above all. */
  readonly #packed = new Map<Digest | "nothing", PackedLayer>();
  readonly #sizes = new Map<Digest, number>();

  constructor(context: TransferContext, work: LibrsyncWork, stream: TarsAsOne, held: AsyncDisposableStack) {
    this.#context = context;
    this.#work = work;
    this.#stream = stream;
    this.#held = held;
  }

  async make(common: number): Promise<LibrsyncLayer[]> {
    const { target, tars } = this.#work;
    const { onProgress: emit } = this.#context;
    const differing = [...new Set(target.diffIds.slice(common))];
    for (const digest of new Set(target.diffIds.slice(0, common))) {
      await using tar = await openTar(this.#context, tars, target, digest);
      this.#sizes.set(digest, tar.size);
      tellPhase({ digest, total: tar.size, emit }, "common");
    }
    // How large they are is known when they are opened.
    for (const digest of differing) tellPhase({ digest, total: 0, emit }, "queued");
    if (differing.length > 0) await this.#compare(differing);
    if (common > 0) this.#packed.set("nothing", this.#keep(await packNothing(this.#context)));
    return target.diffIds.map((diffId, index) =>
      index < common ? this.#commonLayer(diffId, index) : this.#layer(diffId, index),
    );
  }

  async #compare(diffIds: readonly Digest[]): Promise<void> {
    const { jobs } = this.#work;
    await using index = await this.#index();
    let packing: Promise<void> = Promise.resolve();
    try {
      for (const diffId of diffIds) {
        await using opened = new AsyncDisposableStack();
        const tar = opened.use(await openTar(this.#context, this.#work.tars, this.#work.target, diffId));
        const { root } = this.#context.store;
        await ensureWorkingRoom(root, Math.min(tar.size, LIKELY_BYTES), `the delta of layer ${diffId}`);
        const raw = opened.use(await UnnamedFile.create(root));
        const delta = await this.#write(index, diffId, tar, raw);
        await packing;
        packing = this.#pack(diffId, tar, raw, delta, opened.move());
        // What fails beside the next layer fails after it.
        packing.catch(() => undefined);
        if (jobs === 1) await packing;
      }
    } finally {
      await packing.catch(() => undefined);
    }
    await packing;
  }

  async #index(): Promise<BaseIndex> {
    const { signal, onProgress: emit } = this.#context;
    const tar = this.#stream;
    const meter = new DeltaMeter({ digest: this.#work.base.imageId, phase: "fingerprinting", total: tar.size, emit });
    const index = await this.#work.threads.index(tar, { signal, onProgress: (done) => meter.moveTo(done) });
    meter.finish();
    return index;
  }

  async #write(index: BaseIndex, digest: Digest, tar: SeekableTar, raw: UnnamedFile): Promise<RawDelta> {
    const { signal, onProgress: emit } = this.#context;
    const meter = new DeltaMeter({ digest, phase: "computing", total: tar.size, emit });
    const delta = await index.write(tar, raw.descriptor, { signal, onProgress: (done) => meter.moveTo(done) });
    if (delta.diffId !== digest) {
      throw new VarveError(
        "DIFFID_MISMATCH",
        `layer ${digest} of ${this.#work.target.name} is held as ${delta.diffId}`,
        {
          hint: "varve fsck --repair gets it again",
        },
      );
    }
    raw.filledTo(delta.size);
    meter.finish();
    return delta;
  }

  async #pack(
    diffId: Digest,
    tar: SeekableTar,
    raw: UnnamedFile,
    delta: RawDelta,
    opened: AsyncDisposableStack,
  ): Promise<void> {
    await using _opened = opened;
    this.#sizes.set(diffId, tar.size);
    this.#packed.set(diffId, this.#keep(await packDelta(this.#context, raw, delta, tar)));
  }

  #keep(packed: PackedLayer): PackedLayer {
    this.#held.use(packed.file);
    return packed;
  }

  #commonLayer(diffId: Digest, index: number): LibrsyncLayer {
    const none = { deltaBytes: 0, deltaBlobBytes: 0, commands: 0, copiedBytes: 0, addedBytes: 0, literalBytes: 0 };
    const result = { ...this.#facts(diffId, index, this.#sizes.get(diffId)!), how: "common", ...none } as const;
    return { packed: this.#packed.get("nothing")!, result: { ...result, helps: true } };
  }

  #layer(diffId: Digest, index: number): LibrsyncLayer {
    const packed = this.#packed.get(diffId)!;
    const { size: deltaBytes, copies, copiedBytes, literals, literalBytes } = packed.delta!;
    const facts = this.#facts(diffId, index, this.#sizes.get(diffId)!);
    const result: DeltaLayerResult = {
      ...facts,
      how: copies > 0 ? "delta" : "literal",
      deltaBytes,
      deltaBlobBytes: packed.size,
      commands: copies + literals,
      copiedBytes,
      addedBytes: 0,
      literalBytes,
      helps: packed.size < facts.blobBytes,
    };
    return { packed, result };
  }

  #facts(
    diffId: Digest,
    index: number,
    bytes: number,
  ): Pick<DeltaLayerResult, "diffId" | "bytes" | "blobBytes" | "from"> {
    return { diffId, bytes, blobBytes: this.#work.target.manifest.layers[index]!.size, from: null };
  }
}
