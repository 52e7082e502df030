/** Holds what an import puts into the store until an image names it; what fails, or is stopped, leaves nothing. */
import type { Digest } from "../../oci/digest.ts";
import type { Lease } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";

export class ImportHold implements AsyncDisposable {
  readonly #store: Store;
  readonly #lease: Lease;
  readonly #held = new Set<Digest>();
  #isWanted = false;

  private constructor(store: Store, lease: Lease) {
    this.#store = store;
    this.#lease = lease;
  }

  static async begin(store: Store): Promise<ImportHold> {
    return new ImportHold(store, await store.leases.create());
  }

  /** Before the content is looked for or made. */
  async add(...digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) this.#held.add(digest);
    await this.#lease.add(...digests);
  }

  /** An image names it. */
  keep(): void {
    this.#isWanted = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lease.release();
    if (this.#isWanted) return;
    // The image's index may have been listed already.
    const { orphanedLists } = await import("./index/index-lists.ts");
    await this.#store.images.deleteUnchanged(await orphanedLists(this.#store));
    await this.#store.removeUnreferenced(this.#held);
  }
}
