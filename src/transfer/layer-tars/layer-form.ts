/** The forms in which a place can have a layer whose tar can be had again, byte for byte. */
import type { Digest } from "../../oci/digest.ts";
import type { HasOptions } from "../deltas/types.ts";

/** Nothing of it was checked but that it is there. */
export type LayerForm =
  /** The tar, as a file. */
  | { readonly kind: "tar"; readonly path: string }
  /** The tar in some compression, told by its magic. */
  | {
      readonly kind: "blob";
      readonly digest: Digest;
      readonly path: string;
      /** Bytes of the file. */
      readonly size: number;
      /** Bytes of the tar, where they were counted. */
      readonly tarSize?: number;
    }
  /** A tree of the layer's files, and the tar-split that was kept of it. */
  | {
      readonly kind: "tree";
      readonly root: string;
      readonly split: string;
      /** What keeps it when it is leased. */
      readonly key?: Digest;
    };

/** A place that has layers and configs of images: this process's own store, or one that is only read. */
export interface LayerTarsRoot extends AsyncDisposable {
  /** A directory, for messages. */
  readonly path: string;
  /** The forms that it has of a layer, those first that cost least. */
  find(diffId: Digest, options?: HasOptions): AsyncIterable<LayerForm>;
  /** An image's config of this digest, which its bytes have. */
  config(imageId: Digest): Promise<Uint8Array | undefined>;
}
