/**
 * How a layer's tar is made by a delta: its base is opened, its blob begins to come, and segments are told as it comes. Of a delta that does not say
 * how large the tar is, all has to be here first; then it is measured.
 */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import { librsyncSegments, measureDelta } from "../../plan/librsync-delta.ts";
import type { Segment } from "../../recipe/segment.ts";
import type { ProgressSink } from "../../recipe/progress.ts";
import { RangeSet } from "../../store/range-set.ts";
import type { Ingest } from "../../store/types.ts";
import { freeSpace } from "../../sys/free-space.ts";
import type { TransferContext } from "../context.ts";
import { openBase } from "../layer-tars/open-base.ts";
import type { UnpackTask } from "../present-layer.ts";
import { spareOf } from "../working-room.ts";
import { DeltaBlob, type DeltaBlobOptions } from "./delta-blob.ts";
import { librsyncOf } from "./open-delta.ts";
import type { LayerDelta, LayerTars, TarPlan } from "./types.ts";

export interface PlanDeltaOptions extends DeltaBlobOptions {
  readonly tars: LayerTars;
  /** Whether all deltas are those of a delta image. */
  readonly isOnlyWay: boolean;
  /** Waits until the layer may be made: that takes memory, and the delta may come meanwhile. */
  readonly turn: (signal: AbortSignal) => Promise<Disposable>;
}

export interface DeltaPlan extends TarPlan {
  readonly blob: DeltaBlob;
}

/**
 * @throws VarveError `DELTA_BASE_MISSING`, `DELTA_INVALID`, `DELTA_BASE_DIFFERS`, `NO_SPACE` when the tar cannot fit; what fetching the delta throws where
 * all of it has to come first
 */
export async function planDelta(
  context: TransferContext,
  task: UnpackTask,
  delta: LayerDelta,
  options: PlanDeltaOptions,
): Promise<DeltaPlan> {
  await using opened = new AsyncDisposableStack();
  const onProgress = asLayer(task.blob.digest, options.onProgress, delta.size === undefined);
  checkName(task, delta);
  const { signal, tars, isOnlyWay } = options;
  const isMade = async (): Promise<boolean> => (await context.store.content.stat(task.diffId)) !== undefined;
  const open = (): Promise<DeltaBlob> => DeltaBlob.open(context, delta.blob, { ...options, onProgress, isMade });
  // Who holds a delta waits for nobody else's: a base may have to be made by deltas too. Those of a delta image are all from one base, which is here.
  const begun = isOnlyWay ? opened.use(await open()) : undefined;
  const base = opened.use(await openBase(tars, delta.base, signal));
  const blob = begun ?? opened.use(await open());
  opened.use(await options.turn(signal));
  const told = opened.use(new Told(options.signal));
  const source = await openSource(delta, base, blob, told);
  let { size } = delta;
  if (size === undefined) {
    await blob.whole();
    size = await measureInto(await mostBytes(context, task), (limit) => source.measure(limit));
  }
  await checkRoom(context, task, size);
  const held = opened.move();
  const { network, requests } = { network: delta.blob.size, requests: 1 };
  return {
    blob,
    how: delta.how,
    plan: {
      how: delta.how,
      recipe: { target: { digest: task.diffId, size }, segments: told.following(source.segments) },
      cost: { network, requests, local: size, data: 0, zero: 0 },
      why: `made of ${delta.base.length === 1 ? "a layer" : `${delta.base.length} layers`} that are here`,
    },
    why: `${delta.how}: ${delta.blob.size} bytes`,
    goOn: (ingest) => void (told.ingest = ingest),
    replan: () => Promise.resolve(undefined),
    remember: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

interface DeltaSource {
  readonly segments: AsyncIterable<Segment>;
  /** Bytes of the tar; reads all of the delta. @throws VarveError `INGEST_LIMIT` when they are more than may be */
  measure(limit: number): Promise<number>;
}

async function openSource(delta: LayerDelta, base: SeekableTar, blob: DeltaBlob, told: Told): Promise<DeltaSource> {
  const { signal } = told;
  const held = (): RangeSet => told.held();
  if (delta.how === "librsync-delta") {
    const bytes = (): AsyncIterable<Uint8Array> => librsyncOf(blob.read(signal), signal);
    const measure = async (limit: number): Promise<number> => (await measureDelta(bytes(), base, { limit })).size;
    return { segments: librsyncSegments({ base, delta: bytes, held, signal }), measure };
  }
  const [{ tarDiffSegments }, { TarMembers }, { measureTarDiff }] = await Promise.all([
    import("../../plan/tar-diff.ts"),
    import("../../codec/tar-diff/tar-members.ts"),
    import("../../codec/tar-diff/measure.ts"),
  ]);
  const members = await TarMembers.of(base, signal);
  const bytes = (): AsyncIterable<Uint8Array> => blob.read(signal);
  const measure = async (limit: number): Promise<number> => {
    const { data, copied, added } = await measureTarDiff(bytes(), { signal, limit });
    return data + copied + added;
  };
  return { segments: tarDiffSegments({ base, members, delta: bytes, held, signal }), measure };
}

/** Who tells segments, so that nothing that they are told of is closed while somebody still reads it. */
class Told implements AsyncDisposable {
  ingest: Pick<Ingest, "done" | "claimed"> | undefined;
  readonly signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  held(): RangeSet {
    return new RangeSet([...(this.ingest?.done ?? []), ...(this.ingest?.claimed ?? [])]);
  }

  following(segments: AsyncIterable<Segment>): AsyncIterable<Segment> {
    return { [Symbol.asyncIterator]: () => this.#follow(segments) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new VarveError("INTERRUPTED", "nobody needs the layer any more"));
    await Promise.all(this.#running);
  }

  async *#follow(segments: AsyncIterable<Segment>): AsyncGenerator<Segment, void, undefined> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running.add(promise);
    try {
      yield* segments;
    } finally {
      this.#running.delete(promise);
      resolve();
    }
  }
}

/** The locks of both are held at the same time, and one lock is not had twice. @throws VarveError `DELTA_INVALID` */
function checkName({ blob, diffId }: UnpackTask, { blob: { digest } }: LayerDelta): void {
  if (digest !== diffId && digest !== blob.digest) return;
  throw new VarveError("DELTA_INVALID", `a delta of layer ${diffId} is said to be what it makes`);
}

/** A delta of a few bytes can ask for petabytes. @throws VarveError `NO_SPACE` */
async function checkRoom(context: TransferContext, task: UnpackTask, size: number): Promise<void> {
  const most = await mostBytes(context, task);
  if (size > most) throw noRoom(most, size);
}

/**
 * The size of what a delta makes, where it may be as large as there is room.
 * @throws VarveError `NO_SPACE` in the place of `INGEST_LIMIT`
 */
export async function measureInto(room: number, measure: (limit: number) => Promise<number>): Promise<number> {
  try {
    return await measure(room);
  } catch (error) {
    throw isVarveError(error, "INGEST_LIMIT") ? noRoom(room) : error;
  }
}

function noRoom(free: number, needed?: number): VarveError {
  const size = needed === undefined ? `more than ${free}` : String(needed);
  return new VarveError("NO_SPACE", `a delta makes a layer of ${size} bytes, and ${free} have room`, {
    detail: { free, ...(needed !== undefined && { needed }) },
  });
}

/** How large the layer's tar can become here, with something left to others. */
async function mostBytes({ store }: TransferContext, { diffId }: UnpackTask): Promise<number> {
  const free = await freeSpace(store.root).catch(() => undefined);
  if (free === undefined) return Number.MAX_SAFE_INTEGER;
  const whole = { digest: diffId, size: Number.MAX_SAFE_INTEGER };
  return free - spareOf(free) + whole.size - (await store.content.missingSpace(whole));
}

/**
 * What there is to tell of the delta, told of the layer. How far it has come is not, unless the layer begins only when all of it is here: the layer's
 * own progress tells more.
 */
export function asLayer(digest: Digest, tell: ProgressSink, comesFirst: boolean): ProgressSink {
  return (event) => {
    if (event.type === "progress" && !comesFirst) return;
    tell("digest" in event && event.digest !== undefined ? { ...event, digest } : event);
  };
}
