/**
 * What may not be removed: the content of images (disks of machines are named by their keys), of repositories, of entries that other tools made in
 * index.json, and of what running processes read. Leases and partial content have their own checks, in `ContentStore.remove`.
 *
 * There is no lock over marking and sweeping. The answer is right all the same when it is asked under the digest's lock after the
 * leases were looked at, because of the order in which others act:
 *
 *     an image is recorded   lease, look for content (under its lock), record the image, release. No lease means that the record,
 *                            if there is one, is written: the count of changes shows it, and is marked before the answer
 *     an image is read       lock it as in use, see that it still has its name. Either the name is in the list, or the lock is seen
 *                            by the look that comes after the list
 *     a name is added        in one transaction with a look at the old name, so its content was marked all along
 *     a repository gets it   the row is written under the digest's lock while the blob is there, so a look under that lock sees it
 */
import { stat } from "node:fs/promises";
import type { Digest } from "../oci/digest.ts";
import type { ContentStore } from "./content.ts";
import { readForeign } from "./image-index.ts";
import type { ImageStore } from "./images.ts";
import type { StoreLayout } from "./layout.ts";
import type { StoreLocks } from "./locks.ts";
import { Marker } from "./mark.ts";
import type { Repositories } from "./repositories.ts";

export interface NeededContext {
  readonly layout: StoreLayout;
  readonly locks: StoreLocks;
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly repositories: Repositories;
  /** Names that are about to go, for who wants to know what would go with them. Default: none. */
  readonly goneNames?: ReadonlySet<string>;
}

export class Needed {
  readonly #context: NeededContext;
  readonly #marker: Marker;
  readonly #inRepositories = new Set<Digest>();
  readonly #broken = new Map<string, string>();
  #changes = -1;
  #indexStamp = "";

  private constructor(context: NeededContext) {
    this.#context = context;
    this.#marker = new Marker(context.content);
  }

  /** Marks all that is needed now. */
  static async find(context: NeededContext): Promise<Needed> {
    const needed = new Needed(context);
    await needed.#update();
    for await (const digest of context.repositories.digests()) needed.#inRepositories.add(digest);
    return needed;
  }

  /** Whether it was needed when last looked: a yes is a yes, a no must be asked again with {@link isNeeded}. */
  wasNeeded(digest: Digest): boolean {
    return this.#marker.has(digest) || this.#inRepositories.has(digest);
  }

  /** Whether it is needed now. Asked under the digest's lock after its leases were looked at, a no lasts as long as the lock. */
  async isNeeded(digest: Digest): Promise<boolean> {
    await this.#update();
    return this.#marker.has(digest) || (await this.#context.repositories.needs(digest));
  }

  /** As {@link wasNeeded}, of a machine's disk by its key. */
  wasDiskNeeded(key: Digest): boolean {
    return this.#marker.hasDisk(key);
  }

  /** As {@link isNeeded}, of a machine's disk by its key and under its lock. */
  async isDiskNeeded(key: Digest): Promise<boolean> {
    await this.#update();
    return this.#marker.hasDisk(key);
  }

  /** Roots whose documents are missing or damaged, so that nobody can say what they need: who needs it, and why it is unknown. */
  get broken(): ReadonlyMap<string, string> {
    return this.#broken;
  }

  async #update(): Promise<void> {
    const changes = await this.#context.images.changes();
    const indexStamp = await stampOf(this.#context.layout.indexJson);
    if (changes !== this.#changes) await this.#markImages();
    if (changes !== this.#changes || indexStamp !== this.#indexStamp) await this.#markForeign();
    // The numbers from before the look: what changed during it is looked at next time.
    this.#changes = changes;
    this.#indexStamp = indexStamp;
  }

  async #markImages(): Promise<void> {
    const { images, locks, goneNames } = this.#context;
    for (const { name, descriptor, manifest } of await images.list()) {
      if (goneNames?.has(name) === true) continue;
      for (const root of [manifest, descriptor]) {
        const found = await this.#marker.mark(root);
        if (found !== "whole") this.#broken.set(name, `its manifest is ${found}`);
      }
    }
    for (const digest of locks.inUse()) await this.#marker.mark({ digest });
  }

  async #markForeign(): Promise<void> {
    const { descriptors, readable } = await readForeign(this.#context.layout);
    if (!readable) this.#broken.set("index.json", "it cannot be read");
    for (const descriptor of descriptors) {
      if ((await this.#marker.mark(descriptor)) === "damaged") {
        this.#broken.set("index.json", `${descriptor.digest}, which another tool put there, is damaged`);
      }
    }
  }
}

async function stampOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? "" : `${found.ino}:${found.size}:${found.mtimeNs}`;
}
