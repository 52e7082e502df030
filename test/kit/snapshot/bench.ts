/** A store with a driver in a temporary directory, and what tests do with snapshots: write a layer, look at one. */
import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { mountAll, unmount } from "../../../src/snapshot/mount-all.ts";
import { Snapshots, type CommitSnapshotOptions } from "../../../src/snapshot/service.ts";
import type { Driver, Mount } from "../../../src/snapshot/types.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { mountDir } from "../mounts/mount-dir.ts";

export type MakeDriver = (store: Store) => Driver | Promise<Driver>;

export class SnapshotBench implements AsyncDisposable {
  readonly path: string;
  readonly store: Store;
  readonly snapshots: Snapshots;
  readonly #cleanup: AsyncDisposableStack;
  readonly #work: string;
  #views = 0;

  private constructor(path: string, work: string, store: Store, snapshots: Snapshots, cleanup: AsyncDisposableStack) {
    this.path = path;
    this.#work = work;
    this.store = store;
    this.snapshots = snapshots;
    this.#cleanup = cleanup;
  }

  static async open(makeDriver: MakeDriver): Promise<SnapshotBench> {
    await using cleanup = new AsyncDisposableStack();
    const { path } = cleanup.use(await mountDir());
    const work = join(path, "work");
    await mkdir(work);
    // Nothing here is to survive a power cut.
    const store = cleanup.use(await openStore(join(path, "store"), { sync: false }));
    const snapshots = new Snapshots({ store, driver: await makeDriver(store), sync: false });
    return new SnapshotBench(path, work, store, snapshots, cleanup.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cleanup.disposeAsync();
  }

  /** An empty directory that goes with the bench. */
  directory(): Promise<string> {
    return mkdtemp(join(this.#work, "d-"));
  }

  /** Mounts, works, unmounts. */
  async mounted<T>(mounts: readonly Mount[], work: (root: string) => T | Promise<T>): Promise<T> {
    const root = await this.directory();
    await mountAll(mounts, root);
    try {
      return await work(root);
    } finally {
      await unmount(root);
    }
  }

  /** A new active snapshot in which something is written. */
  async write(key: string, parent: string | undefined, change: (root: string) => unknown): Promise<void> {
    await this.mounted(await this.snapshots.prepare(key, parent), async (root) => void (await change(root)));
  }

  /** A committed snapshot with a change; without a name for its parent it has none. */
  async layer(
    name: string,
    parent: string | undefined,
    change: (root: string) => unknown,
    options: CommitSnapshotOptions = {},
  ): Promise<void> {
    await this.write(`${name}-active`, parent, change);
    await this.snapshots.commit(name, `${name}-active`, options);
  }

  /** What a committed snapshot shows. */
  async see<T>(name: string, look: (root: string) => T | Promise<T>): Promise<T> {
    const key = `view-${++this.#views}`;
    try {
      return await this.mounted(await this.snapshots.view(key, name), look);
    } finally {
      await this.snapshots.remove(key);
    }
  }
}
