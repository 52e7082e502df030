/** What every use case is handed: the places it works on and the ways it reports and is stopped. */
import type { LayerThreads } from "../layer/threads.ts";
import type { ProgressEvent } from "../recipe/progress.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { Store } from "../store/store.ts";

export interface TransferContext {
  readonly store: Store;
  readonly registry: RegistryClient;
  readonly threads: LayerThreads;
  readonly signal: AbortSignal;
  readonly onProgress: (event: ProgressEvent) => void;
}
