/** Removes partial data that a lease of our own protects, because nothing will come of it any more. */
import { isVarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { Store } from "../store/store.ts";

/** Whoever is at work on it keeps it. */
export async function dropIngest({ content }: Store, digest: Digest, signal: AbortSignal): Promise<void> {
  try {
    // Of any size: what is there is not looked at.
    const place = await content.ingest({ digest, size: 0 }, { signal, wait: false, check: "later" });
    if (!("commit" in place)) return;
    await using ingest = place;
    await ingest.discard();
  } catch (error) {
    if (!isVarveError(error, "STORE_BUSY") && !isVarveError(error, "SIZE_MISMATCH")) throw error;
  }
}
