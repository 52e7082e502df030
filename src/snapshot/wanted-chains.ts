/**
 * Which committed layers images want: the ChainIDs of all configs that the store has of them, for whatever platform, also of what other
 * tools have put into index.json and of what processes read at this moment. As `store/needed.ts` is for blobs, and for the same reasons.
 */
import { isVarveError } from "../errors/varve-error.ts";
import { chainIds } from "../oci/chain-id.ts";
import { parseImageConfig } from "../oci/config.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../oci/manifest.ts";
import { findDocument, type Wanted } from "../store/mark.ts";
import type { Store } from "../store/store.ts";

export class WantedChains {
  readonly #store: Store;
  readonly #chains = new Set<Digest>();
  /** Blobs of each layer. */
  readonly #blobs = new Map<Digest, Set<Digest>>();
  readonly #followed = new Set<Digest>();
  readonly #broken = new Map<string, string>();
  #changes = -1;

  private constructor(store: Store) {
    this.#store = store;
  }

  static async find(store: Store): Promise<WantedChains> {
    const wanted = new WantedChains(store);
    await wanted.update();
    return wanted;
  }

  /** The count of changes of images (`ImageStore.changes`) that this is true for: with another, {@link update} it. */
  get changes(): number {
    return this.#changes;
  }

  /** Images of which nobody can say what they want, because a document is missing or damaged, and why. */
  get broken(): ReadonlyMap<string, string> {
    return this.#broken;
  }

  has(chainId: Digest): boolean {
    return this.#chains.has(chainId);
  }

  /** Whether an image wants the layer and the store has no blob that it could be unpacked from again. */
  async isOnlyCopy(diffId: Digest): Promise<boolean> {
    const blobs = this.#blobs.get(diffId);
    if (blobs === undefined) return false;
    for (const blob of blobs)
      if ((await this.#store.content.stat(blob).catch(() => undefined)) !== undefined) return false;
    return true;
  }

  /** Adds what has come since; what is wanted no more stays until the next collection. */
  async update(): Promise<void> {
    const { images, locks } = this.#store;
    // The number from before the look: what changes during it is looked at next time.
    this.#changes = await images.changes();
    for (const { name, descriptor, manifest } of await images.list()) {
      await this.#follow(name, manifest, true);
      await this.#follow(name, descriptor, true);
    }
    for (const descriptor of await this.#store.foreignRoots()) await this.#follow("index.json", descriptor, false);
    for (const digest of locks.inUse()) await this.#follow("what is being read", { digest }, false);
  }

  /** @param own whether the root is known to have been here whole, so that what is missing of it was lost */
  async #follow(name: string, root: Wanted, own: boolean): Promise<void> {
    // A stack, not recursion: how deep indexes nest is up to who wrote them.
    const waiting = [root];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (this.#followed.has(next.digest)) continue;
      const found = await findDocument(this.#store.content, next);
      if (found === "damaged" || (found === "absent" && own && next === root)) {
        this.#broken.set(name, `its manifest is ${found}`);
        continue;
      }
      if (typeof found === "string") continue;
      if (found.kind === "index") waiting.push(...found.manifests);
      else if (!(await this.#read(name, found.config, found.layers, own && next === root))) continue;
      this.#followed.add(next.digest);
    }
  }

  /** @returns whether the config is settled, so that it need not be read again */
  async #read(name: string, config: Descriptor, layers: readonly Descriptor[], own: boolean): Promise<boolean> {
    try {
      const bytes = await this.#store.content.readBytes(config.digest, MAX_DOCUMENT_BYTES);
      const { diffIds } = parseImageConfig(bytes).rootfs;
      for (const chainId of chainIds(diffIds)) this.#chains.add(chainId);
      for (const [index, diffId] of diffIds.entries()) {
        const blobs = this.#blobs.get(diffId) ?? new Set();
        const blob = layers[index];
        this.#blobs.set(diffId, blob === undefined ? blobs : blobs.add(blob.digest));
      }
      return true;
    } catch (error) {
      // A platform that was not pulled has no config here, and what is no image has none that could be read: neither was ever unpacked.
      const isAbsent = isVarveError(error, "BLOB_UNKNOWN");
      if (isVarveError(error, "CONFIG_INVALID") || isVarveError(error, "MANIFEST_TOO_LARGE")) return true;
      if (isAbsent && !own) return false;
      if (!isAbsent && !isVarveError(error, "DIGEST_MISMATCH") && !isVarveError(error, "STORE_CORRUPT")) throw error;
      this.#broken.set(name, `its config is ${isAbsent ? "absent" : "damaged"}`);
      return false;
    }
  }
}
