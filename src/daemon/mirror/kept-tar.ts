/**
 * Uncompressed layers that are held in another form: compressed, or as a tree. Their blob is the layer's tar, which comes out of every form byte
 * for byte. Of a compressed blob nobody can say how its compressor made it, so that one is not made of anything.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { BlobRequest, BlobSource } from "../../registry/blob-source.ts";
import type { Store } from "../../store/store.ts";
import { openKeptTar } from "../../transfer/layer-tars/read-kept-tar.ts";

/** @throws VarveError from reading, when the layer is held in no form */
export function keptTar(store: Store): BlobSource {
  return {
    async *readBlob(blob, { range, signal = NEVER }: BlobRequest = {}) {
      const { start, end } = range ?? { start: 0, end: blob.size };
      await using kept = await openKeptTar({ store, signal }, blob);
      if (kept === undefined) throw new VarveError("BLOB_UNKNOWN", `the layer ${blob.digest} is not held`);
      let left = end - start;
      for await (const chunk of kept.read(start)) {
        yield chunk.length > left ? chunk.subarray(0, left) : chunk;
        left -= chunk.length;
        if (left <= 0) return;
      }
    },
  };
}

/** As which blobs the layer is known that a blob would be; none where it is not known, or where the blob would be something else. */
export async function keptForms({ layers }: Store, { mediaType, digest }: Descriptor): Promise<Digest[]> {
  return mediaType.endsWith("tar") ? (await layers.findByDiffId(digest)).map((record) => record.digest) : [];
}

const NEVER = new AbortController().signal;
