/** Small documents from the store, as if a damaged one were not there: it is then fetched again and replaced. */
import { isVarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../oci/manifest.ts";
import type { Store } from "../store/store.ts";

export async function heldBytes({ content }: Pick<Store, "content">, digest: Digest): Promise<Uint8Array | undefined> {
  if ((await content.stat(digest)) === undefined) return undefined;
  try {
    return await content.readBytes(digest, MAX_DOCUMENT_BYTES);
  } catch (error) {
    // It was removed since it was looked for: then it is not here, which says nothing of the registry that has it.
    if (isVarveError(error, "BLOB_UNKNOWN")) return undefined;
    if (isVarveError(error, "DIGEST_MISMATCH") || isVarveError(error, "STORE_CORRUPT")) return undefined;
    throw error;
  }
}
