/**
 * Deltas of single layers (formats "tar-diff"), each from the layer of the base that has the most of it. One that would not take clearly less than the
 * layer itself is not made, and a layer that the base has too needs none.
 */
import { DeltaMeter, tellPhase } from "../../delta/image/delta-meter.ts";
import { MemoryTurns } from "../../delta/image/memory-turns.ts";
import type { WrittenTarDiff } from "../../delta/image/threads.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { formatReference, type Reference } from "../../oci/reference.ts";
import { UnnamedFile } from "../commit/unnamed-file.ts";
import type { TransferContext } from "../context.ts";
import { inParallel } from "../in-parallel.ts";
import { StoreSink } from "../transports/store-sink.ts";
import { BestBases } from "./best-base.ts";
import { describe, openTar, type Pair, type Side } from "./create-sides.ts";
import type { DeltaLayerResult, DeltaMaker, DeltaWork } from "./create-types.ts";
import { storeDelta } from "./deliver.ts";
import { keepDeltas } from "./publish/keep.ts";
import { publishDeltas } from "./publish/publish.ts";
import type { PublishedDelta } from "./publish/types.ts";
import { DELTA_CONFIG, writeDeltaManifest } from "./publish/write-manifest.ts";

/** Of the layer's blob. A delta costs its puller work, and requests. */
const MOST_SHARE = 0.9;

interface MadeLayer {
  readonly result: DeltaLayerResult;
  readonly delta?: PublishedDelta & { readonly file: UnnamedFile };
}

export const makeTarDiffs: DeltaMaker = async (context, pair, work) => {
  const { places, held } = work;
  const target = describe(pair.target.manifest);
  // Said before hours of work, not after them.
  if (places.push !== undefined) await requireTarget(context, places.push, pair.target);
  const layers = await new TarDiffs(context, pair, work).make(held);
  const deltas = [
    ...new Map(layers.flatMap(({ delta }) => (delta === undefined ? [] : [[delta.to, delta] as const]))).values(),
  ];
  const results = layers.map(({ result }) => result);
  if (deltas.length === 0) return { digest: null, imageId: null, isListed: false, layers: results, warnings: [] };
  const base = pair.base.diffIds;
  const manifest = writeDeltaManifest(target, base, deltas);
  if (places.tag !== undefined) {
    const files = deltas.map(({ blob, file }) => [blob.digest, file] as const);
    const blobs = new Map<Digest, UnnamedFile | Uint8Array>([...files, [manifest.config.digest, DELTA_CONFIG]]);
    await storeDelta(context, { manifest, blobs }, places.tag);
    // Beside the target too, so that a push of that with its referrers takes them along.
    const { store, signal } = context;
    await using sink = await StoreSink.open({ store, name: pair.target.storeName, signal });
    await keepDeltas(sink, { target, base, deltas }, signal);
  }
  const published =
    places.push === undefined ? undefined : await publishDeltas(context, places.push, { target, base, deltas });
  return {
    digest: manifest.digest,
    imageId: null,
    isListed: published !== undefined,
    layers: results,
    warnings: published?.warnings ?? [],
  };
};

/** For comparisons that run at the same time: the program's whole memory is to stay below 500 MB. */
const COMPARING_BYTES = 256 << 20;
/** What a thread takes for itself, and to compress. */
const THREAD_BYTES = 96 << 20;

class TarDiffs {
  readonly #context: TransferContext;
  readonly #pair: Pair;
  readonly #work: DeltaWork;
  readonly #turns = new MemoryTurns(COMPARING_BYTES);

  constructor(context: TransferContext, pair: Pair, work: DeltaWork) {
    this.#context = context;
    this.#pair = pair;
    this.#work = work;
  }

  /** One for each layer of the target. */
  async make(held: AsyncDisposableStack): Promise<MadeLayer[]> {
    const { base, target } = this.#pair;
    const inBase = new Set(base.diffIds);
    const differing = [...new Set(target.diffIds)].filter((diffId) => !inBase.has(diffId));
    const made = new Map<Digest, MadeLayer>();
    const { onProgress: emit } = this.#context;
    for (const digest of differing) tellPhase({ digest, total: 0, emit }, "queued");
    const failed = new AbortController();
    const context = { ...this.#context, signal: AbortSignal.any([this.#context.signal, failed.signal]) };
    await using bases = new BestBases(context, this.#work.tars, base);
    await inParallel(differing, this.#work.jobs, async (diffId) => {
      try {
        made.set(diffId, await this.#layer(context, diffId, bases, held));
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    });
    return target.diffIds.map((diffId, index) => made.get(diffId) ?? this.#common(diffId, index));
  }

  #common(digest: Digest, index: number): MadeLayer {
    const { onProgress: emit } = this.#context;
    const blobBytes = this.#pair.target.manifest.layers[index]!.size;
    tellPhase({ digest, total: blobBytes, emit }, "common");
    return { result: { diffId: digest, how: "common", bytes: 0, blobBytes, ...NOTHING, helps: true, from: null } };
  }

  async #layer(
    context: TransferContext,
    diffId: Digest,
    bases: BestBases,
    held: AsyncDisposableStack,
  ): Promise<MadeLayer> {
    const { target } = this.#pair;
    const index = target.diffIds.indexOf(diffId);
    await using tar = await openTar(context, this.#work.tars, target, diffId);
    const facts = { diffId, bytes: tar.size, blobBytes: target.manifest.layers[index]!.size };
    const best = await bases.find(tar, index);
    if (best === undefined) return { result: { ...facts, how: "none", ...NOTHING, helps: false, from: null } };
    await using owned = new AsyncDisposableStack();
    const file = owned.use(await UnnamedFile.create(context.store.root));
    const { signal, onProgress: emit } = context;
    const meter = new DeltaMeter({ digest: diffId, phase: "computing", total: tar.size, emit });
    const onProgress = (done: number): void => meter.moveTo(done);
    const compare = (): Promise<WrittenTarDiff> =>
      this.#work.threads.tarDiff(best.tar, tar, file.descriptor, { signal, onProgress });
    const written = await this.#turns.take(best.tar.size + tar.size + THREAD_BYTES, compare);
    if (written.diffId !== diffId) throw damaged(target.name, diffId, written.diffId);
    file.filledTo(written.size);
    meter.finish();
    const result = resultOf(facts, written, best.diffId);
    if (!result.helps) return { result };
    held.use(owned.move());
    const blob = { digest: written.digest, size: written.size };
    const open: PublishedDelta["open"] = (start) => file.read(start);
    return { result, delta: { how: "tar-diff", blob, base: [best.diffId], to: diffId, size: tar.size, open, file } };
  }
}

const NOTHING = { deltaBytes: 0, deltaBlobBytes: 0, commands: 0, copiedBytes: 0, addedBytes: 0, literalBytes: 0 };

function resultOf(
  facts: Pick<DeltaLayerResult, "diffId" | "bytes" | "blobBytes">,
  { size, operations, copiedBytes, addedBytes, literalBytes }: WrittenTarDiff,
  from: Digest,
): DeltaLayerResult {
  const helps = size < MOST_SHARE * facts.blobBytes;
  const told = helps ? { deltaBytes: size, deltaBlobBytes: size } : { deltaBytes: 0, deltaBlobBytes: 0 };
  const counts = { commands: operations, copiedBytes, addedBytes, literalBytes };
  return { ...facts, how: helps ? "delta" : "none", ...told, ...counts, helps, from };
}

/** @throws VarveError `MANIFEST_UNKNOWN` */
async function requireTarget(
  { registry, signal }: TransferContext,
  reference: Reference,
  { name, manifest }: Side,
): Promise<void> {
  if ((await registry.uploads(reference).resolve(manifest.digest, { signal })) !== undefined) return;
  const place = `${reference.host}/${reference.name}`;
  throw new VarveError(
    "MANIFEST_UNKNOWN",
    `${place} does not have the target, beside which deltas go: ${manifest.digest}`,
    {
      hint: `push it there first: varve push ${name} ${formatReference(reference)}`,
    },
  );
}

function damaged(name: string, diffId: Digest, found: Digest): VarveError {
  return new VarveError("DIFFID_MISMATCH", `layer ${diffId} of ${name} is held as ${found}`, {
    hint: "varve fsck --repair gets it again",
  });
}
