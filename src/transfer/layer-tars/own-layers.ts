/** The layers of this process's own store. */
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import type { HasOptions } from "../deltas/types.ts";
import { heldTar } from "../held-tar.ts";
import { heldBytes } from "../held-bytes.ts";
import { compressedBlob, plainTar } from "./blob-forms.ts";
import { imageLayers } from "./image-layers.ts";
import type { LayerForm, LayerTarsRoot } from "./layer-form.ts";
import { ownTrees } from "./tree-forms.ts";

export class OwnLayers implements LayerTarsRoot {
  readonly path: string;
  readonly #store: Store;
  readonly #signal: AbortSignal;
  /** What no record tells but images do. Once is enough: what comes later is recorded by who unpacks it. */
  #ofImages: Promise<Map<Digest, readonly Digest[]>> | undefined;

  constructor(store: Store, signal: AbortSignal) {
    this.path = store.root;
    this.#store = store;
    this.#signal = signal;
  }

  async *find(diffId: Digest, { quick = false }: HasOptions = {}): AsyncGenerator<LayerForm> {
    const { content, layers } = this.#store;
    const tar = await heldTar(this.#store, diffId);
    if (tar !== undefined) yield { kind: "tar", path: tar.path };
    yield* plainTar(content, diffId);
    const seen = new Set<Digest>([diffId]);
    for (const record of await layers.findByDiffId(diffId)) {
      if (seen.has(record.digest)) continue;
      seen.add(record.digest);
      yield* compressedBlob(
        content,
        record.digest,
        record.verifiedAt.getTime() > 0 ? record.uncompressedSize : undefined,
      );
    }
    yield* ownTrees(this.#store, diffId);
    if (quick) return;
    for (const digest of (await this.#images()).get(diffId) ?? []) {
      if (!seen.has(digest)) yield* compressedBlob(content, digest);
    }
  }

  config(imageId: Digest): Promise<Uint8Array | undefined> {
    return heldBytes(this.#store, imageId);
  }

  /** The store is its opener's. */
  async [Symbol.asyncDispose](): Promise<void> {}

  #images(): Promise<Map<Digest, readonly Digest[]>> {
    this.#ofImages ??= (async () => {
      const { content, images } = this.#store;
      const named = (await images.list()).map(({ manifest }) => manifest);
      return imageLayers(content, [...named, ...(await this.#store.foreignRoots())], this.#signal);
    })();
    return this.#ofImages;
  }
}
