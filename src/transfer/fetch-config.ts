/** An image's config by digest: the store's, or the registry's, which one process asks for all those that want it at the same time. */
import { isVarveError } from "../errors/varve-error.ts";
import { MAX_DOCUMENT_BYTES, type Manifest } from "../oci/manifest.ts";
import type { Reference } from "../oci/reference.ts";
import type { TransferContext } from "./context.ts";
import { heldBytes } from "./held-bytes.ts";
import { secondTry } from "./second-try.ts";
import type { Tally } from "./tally.ts";

export interface ConfigOptions {
  readonly tally: Tally;
  /** Whether it may be stored at once, so that others find it; with `wait` it is waited for who is storing it. */
  readonly store?: { readonly wait: boolean };
  /** Throws when the bytes are no config; they are not stored then. */
  readonly check: (bytes: Uint8Array) => void;
}

/** @throws VarveError what `check` throws, `BLOB_UNKNOWN`, `STORE_BUSY`, `REGISTRY_*` ... */
export async function fetchConfig(
  context: TransferContext,
  reference: Reference,
  manifest: Manifest,
  options: ConfigOptions,
): Promise<Uint8Array> {
  const { store } = context;
  const { config } = manifest;
  const held = await heldBytes(store, config.digest);
  if (held !== undefined) return checked(held, options);
  const fetch = async (): Promise<Uint8Array> => {
    const { registry, signal, onProgress } = context;
    const onEvent = options.tally.telling(onProgress);
    const limits = { limit: MAX_DOCUMENT_BYTES, signal, onEvent };
    const bytes = await secondTry(
      () => registry.fetchBlobBytes(reference, config, limits),
      ({ message: reason }) => {
        registry.distrust(config.digest);
        onProgress({ type: "fallback", digest: config.digest, from: "first try", reason });
      },
    );
    return checked(bytes, options);
  };
  if (options.store === undefined || config.data !== undefined || config.size > MAX_DOCUMENT_BYTES) return fetch();
  let fetched: Uint8Array | undefined;
  try {
    const place = await store.content.ingest(config, { signal: context.signal, ...options.store });
    if (!("commit" in place)) return checked((await heldBytes(store, config.digest)) ?? (await fetch()), options);
    await using ingest = place;
    fetched = await fetch();
    await ingest.write(0, fetched);
    await ingest.commit({ digest: config.digest, size: fetched.length });
    return fetched;
  } catch (error) {
    // It is small and in memory: whether there is room for the image is asked when it is known how much that needs.
    if (!isVarveError(error, "NO_SPACE")) throw error;
    return fetched ?? fetch();
  }
}

function checked(bytes: Uint8Array, { check }: ConfigOptions): Uint8Array {
  check(bytes);
  return bytes;
}
