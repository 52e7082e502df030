/** The index over all that a store holds, blobs and whatever is unpacked. */
import type { LocalSources } from "../store/local-sources/types.ts";
import type { Store } from "../store/store.ts";

export interface LocalSourcesOptions {
  readonly store: Store;
  /** Writes nothing to the store, and leases nothing: for plans that are only told. Default false. */
  readonly readOnly?: boolean;
}

/** Costs nothing before something is asked. Dispose of it when nothing more is. */
export async function openLocalSources({ store, readOnly = false }: LocalSourcesOptions): Promise<LocalSources> {
  const [{ HeldSources }, { heldFiles }] = await Promise.all([
    import("../store/local-sources/local-sources.ts"),
    import("./held-files.ts"),
  ]);
  return new HeldSources({ store, readOnly, listHeld: () => heldFiles(store) });
}
