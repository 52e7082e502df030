/**
 * Tars of layers that are held, and of layers that are not and that deltas make on the way to another: these are made when they are opened first, once,
 * into files that nobody else can see, which last as long as this.
 */
import { toVarveError } from "../../../errors/from-system.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import { FileTar } from "../../../layer/seekable/file-tar.ts";
import type { SeekableTar } from "../../../layer/seekable/seekable-tar.ts";
import type { Digest } from "../../../oci/digest.ts";
import { TransferBudget } from "../../../recipe/limiter.ts";
import type { UnnamedFile } from "../../commit/unnamed-file.ts";
import type { TransferContext } from "../../context.ts";
import { dropIngest } from "../../drop-ingest.ts";
import type { Tally } from "../../tally.ts";
import { placeOf } from "../delta-pull.ts";
import { planDelta } from "../plan-delta.ts";
import type { HasOptions, LayerDelta, LayerTars } from "../types.ts";
import { writeTar } from "./write-tar.ts";

/** Deltas that come at the same time. */
const CONCURRENCY = 2;
/** What is needed before something else can be made comes first. */
const PRIORITY = 0;

/** `held`: somebody else has made the layer meanwhile. */
type Made = UnnamedFile | "held";

export class ChainTars implements LayerTars {
  readonly #context: TransferContext;
  readonly #held: LayerTars;
  readonly #tally: Tally;
  readonly #ways = new Map<Digest, LayerDelta>();
  readonly #making = new Map<Digest, Promise<Made>>();
  readonly #closing = new AbortController();
  readonly #budget = new TransferBudget({ concurrency: CONCURRENCY });
  readonly #owned = new AsyncDisposableStack();
  /** One is made at a time: it takes as much memory as a layer that is made. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param held goes when this is disposed of @param tally counts what deltas cost */
  constructor(context: TransferContext, held: LayerTars, tally: Tally) {
    this.#context = context;
    this.#held = held;
    this.#tally = tally;
  }

  /** Makes layers that are not held to be had, of what is held or to be had. */
  add(deltas: Iterable<LayerDelta>): void {
    for (const delta of deltas) if (!this.#ways.has(delta.diffId)) this.#ways.set(delta.diffId, delta);
  }

  /** Of what is held only: what has to be made first is no base to plan with. */
  has(diffId: Digest, options?: HasOptions): Promise<boolean> {
    return this.#held.has(diffId, options);
  }

  config(imageId: Digest): Promise<Uint8Array | undefined> {
    return this.#held.config(imageId);
  }

  /** @throws VarveError as those that are held; where it is made also what comes of a wrong delta: `DELTA_INVALID`, `DIFFID_MISMATCH` ... */
  async open(diffId: Digest, signal?: AbortSignal): Promise<SeekableTar> {
    if (!this.#ways.has(diffId) || (await this.#held.has(diffId))) return this.#held.open(diffId, signal);
    const file = await this.#made(diffId);
    signal?.throwIfAborted();
    if (file === "held") return this.#held.open(diffId, signal);
    return FileTar.open(file.path, { name: `the tar of ${diffId}`, follow: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new VarveError("INTERRUPTED", "nobody needs the layer any more"));
    await Promise.allSettled(this.#making.values());
    await using all = new AsyncDisposableStack();
    all.use(this.#held);
    all.use(this.#owned);
  }

  /** What failed has failed for all who need it, so that each of them goes another way at once. */
  #made(diffId: Digest): Promise<Made> {
    const known = this.#making.get(diffId) ?? this.#begin(this.#ways.get(diffId)!);
    this.#making.set(diffId, known);
    return known;
  }

  async #begin(delta: LayerDelta): Promise<Made> {
    // Before the turn is taken, for they need one themselves.
    for (const base of delta.base) {
      if (this.#ways.has(base) && !(await this.#held.has(base))) await this.#made(base);
    }
    const turn = this.#last.then(() => this.#make(delta));
    this.#last = turn.catch(() => undefined);
    const file = await turn;
    if (file !== "held") this.#owned.use(file);
    return file;
  }

  async #make(delta: LayerDelta): Promise<Made> {
    const { store, signal: pull } = this.#context;
    const { diffId, blob } = delta;
    const signal = AbortSignal.any([pull, this.#closing.signal]);
    signal.throwIfAborted();
    await using lease = await store.leases.create();
    await lease.add(blob.digest);
    try {
      return (await this.#isMadeMeanwhile(delta, signal)) ? "held" : await this.#apply(delta, signal);
    } catch (thrown) {
      const { code, message, hint, detail, cause } = toVarveError(thrown, `making the layer ${diffId}`);
      if (detail["made"] === true && (await this.#held.has(diffId))) return "held";
      // What came of it is found again by who goes on with the pull; else nobody asks for it any more.
      if (pull.aborted) await lease.leave(`the delta of layer ${diffId}`).catch(() => undefined);
      else await dropIngest(store, blob.digest, pull).catch(() => undefined);
      throw new VarveError(code, `on the way by layer ${diffId}: ${message}`, { hint, detail, cause });
    }
  }

  async #apply(delta: LayerDelta, signal: AbortSignal): Promise<UnnamedFile> {
    const { diffId, blob, reference } = delta;
    const place = placeOf(this.#context, {}, delta);
    const task = { diffId, blob: { ...blob, digest: diffId }, reference };
    await using planned = await planDelta(this.#context, task, delta, {
      tars: this,
      isOnlyWay: false,
      turn: () => Promise.resolve({ [Symbol.dispose]: () => undefined }),
      place: { ...place, blobs: this.#tally.counting(place.blobs) },
      signal,
      wait: true,
      budget: this.#budget,
      priority: PRIORITY,
      layersLeft: 1,
      onProgress: () => undefined,
    });
    await using made = new AsyncDisposableStack();
    const file = made.use(await writeTar(planned.plan.recipe, { directory: this.#context.store.root, signal }));
    await planned.blob.drop();
    made.move();
    return file;
  }

  /** A layer that is on the way may be one of the image's own, or of another pull: who has the delta then makes what is needed here. */
  async #isMadeMeanwhile({ diffId, blob }: LayerDelta, signal: AbortSignal): Promise<boolean> {
    const held = await this.#context.store.content.ingest(blob, { signal, wait: true, check: "later" });
    if ("commit" in held) await held[Symbol.asyncDispose]();
    return this.#held.has(diffId);
  }
}
