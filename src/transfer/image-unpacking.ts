/**
 * An image's layers on their way into snapshots. Each is unpacked when it comes, without its parents, into a place of its own; then they
 * are bound in their order, each as soon as all below it are (formats "Pull pipelines" 2.4 and 2.5, layer-apply section 7). What is held
 * already, under whatever parents, is not unpacked again, and one process at a time unpacks a layer.
 *
 * A process that waits for another's layer first lets go of the layers that it has unpacked and cannot bind yet: so nobody who waits is
 * waited for, and there is always one who goes on. Who takes such a layer up again does some work twice, and nothing is wrong.
 */
import { isVarveError } from "../errors/varve-error.ts";
import type { LayerTarget, UnpackedLayer } from "../layer/layer-target.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { Digest } from "../oci/digest.ts";
import { untilAborted } from "../registry/until-aborted.ts";
import type { Snapshots, StagedLayer } from "../snapshot/service.ts";
import type { OpenTar } from "../snapshot/types.ts";
import type { UnpackHow } from "./pull-result.ts";

export interface ImageUnpackingOptions {
  readonly snapshots: Snapshots;
  /** Of the image, from the bottom. */
  readonly diffIds: readonly Digest[];
  /** A layer's tar from the local blob, which is fetched when it is not there. */
  readonly openTar: (diffId: Digest) => ReturnType<OpenTar>;
  /** Unpacks a layer from the local blob, which is fetched when it is not there. */
  readonly unpackAnew: (diffId: Digest, target: LayerTarget) => Promise<UnpackedLayer>;
  /** Whether the layer's blob is not here when it is bound, or will not stay. */
  readonly isGivenUp: (diffId: Digest) => Promise<boolean>;
  /** Called when the last place of a layer is bound. */
  readonly onBound?: (diffId: Digest) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface BeginOptions {
  /** Wait for another process that unpacks the same. */
  readonly wait: boolean;
  readonly onWait: () => void;
}

/** A layer's work. Disposed of without {@link done} it is given up. */
export interface LayerWork extends AsyncDisposable {
  /** Whether it has to be unpacked; otherwise it is there, is held, or another has taken it on. */
  readonly needed: boolean;
  /** Where to unpack to; undefined also when the driver applies the layer as it is bound. */
  readonly target: LayerTarget | undefined;
  /** The layer is what it should be, and may be bound. */
  done(unpacked?: UnpackedLayer): void;
}

interface Place {
  readonly diffId: Digest;
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
}

interface Ready {
  staged?: StagedLayer;
  unpacked?: UnpackedLayer | undefined;
}

export class ImageUnpacking implements AsyncDisposable {
  readonly #options: ImageUnpackingOptions;
  readonly #places: readonly Place[];
  readonly #ready: ReadonlyMap<Digest, PromiseWithResolvers<Ready>>;
  readonly #bound: ReadonlyMap<Digest, PromiseWithResolvers<void>>;
  readonly #begun = new Set<Digest>();
  readonly #how = new Map<Digest, UnpackHow>();
  /** Locks of layers that are unpacked and not bound. */
  readonly #locks = new Map<Digest, Disposable>();
  /** Unpacked, whether bound or not. */
  readonly #staged = new AsyncDisposableStack();
  #waiting = 0;

  private constructor(options: ImageUnpackingOptions, places: readonly Place[]) {
    this.#options = options;
    this.#places = places;
    this.#ready = new Map(places.map(({ diffId }) => [diffId, Promise.withResolvers<Ready>()]));
    this.#bound = new Map(places.map(({ diffId }) => [diffId, Promise.withResolvers<void>()]));
  }

  /** Finds out which of the layers are there. Their ChainIDs and DiffIDs are leased before. */
  static async open(options: ImageUnpackingOptions): Promise<ImageUnpacking> {
    const { diffIds, snapshots } = options;
    const chain = chainIds(diffIds);
    // Who is there stands on all below.
    let present = chain.length;
    while (present > 0 && !(await snapshots.has(chain[present - 1] ?? ""))) present--;
    const places = diffIds.slice(present).map((diffId, index) => {
      const chainId = chain[present + index] ?? diffId;
      return { diffId, chainId, parent: chain[present + index - 1] };
    });
    const unpacking = new ImageUnpacking(options, places);
    for (const diffId of diffIds.slice(0, present)) unpacking.#how.set(diffId, "present");
    return unpacking;
  }

  /** Whether there is nothing to do: all is there. */
  get isDone(): boolean {
    return this.#places.length === 0;
  }

  /** Of a layer that is bound. */
  howOf(diffId: Digest): UnpackHow | undefined {
    return this.#how.get(diffId);
  }

  /**
   * Takes a layer on, after waiting for whoever is at it.
   * @throws VarveError `STORE_BUSY`, `INTERRUPTED`, `NO_SPACE`, `PERMISSION`, `IO`
   */
  async begin(diffId: Digest, { wait, onWait }: BeginOptions): Promise<LayerWork> {
    const ready = this.#ready.get(diffId);
    if (ready === undefined || this.#begun.has(diffId)) return nothingToDo;
    this.#begun.add(diffId);
    try {
      return await this.#take(diffId, ready, wait, onWait);
    } catch (error) {
      this.#begun.delete(diffId);
      throw error;
    }
  }

  /** Settles when the layer is bound where the image has it first. @throws the signal's reason */
  async whenBound(diffId: Digest): Promise<void> {
    await untilAborted(Promise.resolve(this.#bound.get(diffId)?.promise), this.#options.signal);
  }

  /** Binds the layers in their order as they become ready; settles when the last one is bound. */
  async bindAll(): Promise<void> {
    const { snapshots, signal } = this.#options;
    for (const [index, place] of this.#places.entries()) {
      const { diffId, chainId } = place;
      const ready = await untilAborted(Promise.resolve(this.#ready.get(diffId)?.promise), signal);
      const isTop = index === this.#places.length - 1;
      // Another process may have been faster.
      if (!(await snapshots.has(chainId))) await this.#bind(place, ready ?? {}, isTop);
      this.#bound.get(diffId)?.resolve();
      if (this.#places.slice(index + 1).some((later) => later.diffId === diffId)) continue;
      this.#locks.get(diffId)?.[Symbol.dispose]();
      this.#locks.delete(diffId);
      await this.#options.onBound?.(diffId);
    }
  }

  /** Drops what is unpacked and was not bound. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#letGo();
    await this.#staged.disposeAsync();
  }

  async #take(
    diffId: Digest,
    ready: PromiseWithResolvers<Ready>,
    wait: boolean,
    onWait: () => void,
  ): Promise<LayerWork> {
    const { snapshots, signal } = this.#options;
    await using taking = new AsyncDisposableStack();
    const lock = taking.use(await this.#lock(diffId, wait, onWait));
    if (await this.#isHeld(diffId)) {
      this.#how.set(diffId, "adopted");
      ready.resolve({});
      return nothingToDo;
    }
    const staged = taking.use(await snapshots.stage(diffId, { signal }));
    const taken = taking.move();
    let isDone = false;
    return {
      needed: true,
      target: staged.target,
      done: (unpacked) => {
        isDone = true;
        this.#how.set(diffId, "unpacked");
        this.#staged.use(staged);
        this.#locks.set(diffId, lock);
        if (this.#waiting > 0) this.#letGo();
        ready.resolve({ staged, unpacked });
      },
      [Symbol.asyncDispose]: async () => {
        if (isDone) return;
        this.#begun.delete(diffId);
        await taken.disposeAsync();
      },
    };
  }

  async #bind({ diffId, chainId, parent }: Place, ready: Ready, isTop: boolean): Promise<void> {
    const { snapshots, signal, openTar, isGivenUp } = this.#options;
    const binding = { tar: () => openTar(diffId), ready: isTop, signal, split: await isGivenUp(diffId) };
    const { staged, unpacked } = ready;
    delete ready.staged;
    try {
      if (staged !== undefined) {
        await snapshots.commit(chainId, staged.key, {
          ...binding,
          ...(parent !== undefined && { parent }),
          ...(unpacked !== undefined && { layer: unpacked }),
        });
      } else if ((await snapshots.adopt(chainId, parent, diffId, binding)) === undefined) {
        await this.#bindAnew({ diffId, chainId, parent }, isTop);
      }
    } catch (error) {
      if (!isVarveError(error, "SNAPSHOT_EXISTS")) throw error;
    }
  }

  /** What was held is gone, or the driver holds nothing that could be used twice. */
  async #bindAnew({ diffId, chainId, parent }: Place, isTop: boolean): Promise<void> {
    const { snapshots, signal, openTar, unpackAnew } = this.#options;
    await using staged = await snapshots.stage(diffId, { signal });
    const layer = staged.target && (await unpackAnew(diffId, staged.target));
    await snapshots.commit(chainId, staged.key, {
      tar: () => openTar(diffId),
      ready: isTop,
      signal,
      ...(parent !== undefined && { parent }),
      ...(layer !== undefined && { layer }),
    });
  }

  async #lock(diffId: Digest, wait: boolean, onWait: () => void): Promise<Disposable> {
    const { snapshots, signal } = this.#options;
    let waits = false;
    try {
      return await snapshots.lockLayer(diffId, {
        wait,
        signal,
        onWait: () => {
          waits = true;
          this.#waiting++;
          this.#letGo();
          onWait();
        },
      });
    } finally {
      if (waits) this.#waiting--;
    }
  }

  /** Whether nothing is left to unpack for it: each of its places is bound, or it is held under other parents. */
  async #isHeld(diffId: Digest): Promise<boolean> {
    const { snapshots } = this.#options;
    if (await snapshots.driver.holds(diffId)) return true;
    for (const place of this.#places) {
      if (place.diffId === diffId && !(await snapshots.has(place.chainId))) return false;
    }
    return true;
  }

  #letGo(): void {
    for (const lock of this.#locks.values()) lock[Symbol.dispose]();
    this.#locks.clear();
  }
}

const nothingToDo: LayerWork = {
  needed: false,
  target: undefined,
  done: () => undefined,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
