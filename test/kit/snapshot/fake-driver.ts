/** A driver that keeps nothing but folders, for tests of what is asked of drivers: it writes down the calls. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LayerTarget } from "../../../src/layer/layer-target.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import type { BindOptions, Bound, Driver, Mount, SnapshotRecord } from "../../../src/snapshot/types.ts";
import { StoreLayout } from "../../../src/store/layout.ts";
import type { Store } from "../../../src/store/store.ts";

export interface FakeDriverOptions {
  /** Whether layers are unpacked before they are bound, and held for others. Default true. */
  readonly parallel?: boolean;
  /** Called before a layer is bound, and may fail. */
  readonly onBind?: (diffId: Digest | undefined, options: BindOptions) => Promise<void> | void;
}

export class FakeDriver implements Driver {
  readonly name = "overlay";
  readonly parallel: boolean;
  /** `bind <DiffID>` and `adopt <DiffID>`, with ` ready` after the one that is to be mounted. */
  readonly calls: string[] = [];
  readonly #store: Store;
  readonly #layout: StoreLayout;
  readonly #options: FakeDriverOptions;

  constructor(store: Store, options: FakeDriverOptions = {}) {
    this.#store = store;
    this.#layout = new StoreLayout(store.root);
    this.#options = options;
    this.parallel = options.parallel ?? true;
  }

  async create({ id }: SnapshotRecord): Promise<void> {
    await mkdir(join(this.#layout.snapshot(id), "fs"), { recursive: true });
  }

  mounts({ id }: SnapshotRecord): Promise<readonly Mount[]> {
    return Promise.resolve([{ type: "bind", source: this.#layout.snapshot(id), options: [] }]);
  }

  usage(): Promise<{ bytes: number; inodes: number }> {
    return Promise.resolve({ bytes: 1, inodes: 1 });
  }

  target({ id }: SnapshotRecord): LayerTarget | undefined {
    if (!this.parallel) return undefined;
    return { form: "overlay", directory: join(this.#layout.snapshot(id), "fs"), userXattr: false };
  }

  bind(snapshot: SnapshotRecord, _: readonly SnapshotRecord[], options: BindOptions): Promise<Bound> {
    return this.#bind("bind", options.layer?.diffId ?? snapshot.diffId, options);
  }

  async holds(diffId: Digest): Promise<boolean> {
    return this.parallel && (await this.#store.snapshots.findByDiffId(this.name, diffId)).length > 0;
  }

  adopt(_: SnapshotRecord, __: readonly SnapshotRecord[], diffId: Digest, options: BindOptions): Promise<Bound> {
    return this.#bind("adopt", diffId, options);
  }

  remove({ id }: SnapshotRecord): Promise<void> {
    return rm(this.#layout.snapshot(id), { recursive: true, force: true });
  }

  async #bind(what: string, diffId: Digest | undefined, options: BindOptions): Promise<Bound> {
    await this.#options.onBind?.(diffId, options);
    // As a driver without targets does.
    if (!this.parallel) for await (const _chunk of await options.tar!()) continue;
    this.calls.push(`${what} ${diffId}${options.ready === true ? " ready" : ""}`);
    return { bytes: 1, inodes: 1, ...(diffId !== undefined && { diffId }) };
  }
}
