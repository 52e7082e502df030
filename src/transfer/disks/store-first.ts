/** Blobs from the store where it has them, as it has those of an import, and from the registry else. */
import type { BlobSource } from "../../registry/blob-source.ts";
import type { Store } from "../../store/store.ts";

/** What the store gives is told of to nobody: nothing moves over the network. */
export function storeFirst({ content }: Pick<Store, "content">, registry: BlobSource): BlobSource {
  return {
    async *readBlob(blob, request = {}) {
      const held = await content.stat(blob.digest);
      if (held?.size !== blob.size) return yield* registry.readBlob(blob, request);
      const { range, signal } = request;
      yield* content.read(blob.digest, { ...range, ...(signal !== undefined && { signal }) });
    },
  };
}
