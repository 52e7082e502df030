/**
 * Tars of layers that a pull has made of pieces. Each is a blob under its DiffID until the layer is bound, so that a pull which is cut off
 * finds it again; then nobody names it, and it goes.
 */
import type { Digest } from "../oci/digest.ts";
import type { Lease } from "../store/leases.ts";
import type { Store } from "../store/store.ts";

/** Finding out what may go reads all images, so it is done once for so many bytes, and at the end. */
const DROP_BYTES = 256 << 20;

export class MadeTars {
  readonly #store: Store;
  readonly #lease: Lease;
  readonly #kept: ReadonlySet<Digest>;
  readonly #made = new Map<Digest, number>();
  readonly #bound = new Set<Digest>();

  /**
   * @param lease that protects the DiffIDs
   * @param kept blobs of the image itself, which is not recorded yet: one of its layers may be a plain tar
   */
  constructor(store: Store, lease: Lease, kept: Iterable<Digest>) {
    this.#store = store;
    this.#lease = lease;
    this.#kept = new Set(kept);
  }

  /** One that was made, or is here because somebody else has made it. @param size bytes of the tar */
  add(diffId: Digest, size: number): void {
    if (!this.#kept.has(diffId)) this.#made.set(diffId, size);
  }

  /** A layer's snapshot is there, which protects what is unpacked of it from now on. */
  async bound(diffId: Digest): Promise<void> {
    if (!this.#made.has(diffId)) return;
    this.#bound.add(diffId);
    const bytes = [...this.#bound].reduce((sum, each) => sum + (this.#made.get(each) ?? 0), 0);
    if (bytes >= DROP_BYTES) await this.#drop([...this.#bound]);
  }

  /**
   * All layers are bound: removes what is still here, unless somebody else needs it. Whoever makes use of the same tar at the same time
   * calls this too, and the last one finds that nobody does any more.
   */
  async drop(): Promise<void> {
    await this.#drop([...this.#made.keys()]);
  }

  async #drop(gone: readonly Digest[]): Promise<void> {
    if (gone.length === 0) return;
    await this.#lease.drop(...gone);
    // What cannot be removed now is for the collection of garbage: no reason to fail for who has his image.
    const removed = await this.#store.removeUnreferenced(gone).catch(() => undefined);
    for (const diffId of removed?.deleted ?? []) {
      this.#made.delete(diffId);
      this.#bound.delete(diffId);
    }
  }
}
