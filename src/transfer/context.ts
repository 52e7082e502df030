/** What every use case is handed: the places it works on and the ways it reports and is stopped. */
import type { DeltaThreads } from "../delta/image/threads.ts";
import type { ChunkEncoders } from "../disk/import/encoders.ts";
import type { LayerThreads } from "../layer/threads.ts";
import type { ProgressEvent } from "../recipe/progress.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { Store } from "../store/store.ts";
import type { Snapshotter } from "./snapshotter.ts";

export interface TransferContext {
  readonly store: Store;
  readonly registry: RegistryClient;
  /** For use cases on the store alone, which need a registry only when a blob was given up. Default: gives `registry`. */
  readonly openRegistry?: () => Promise<RegistryClient>;
  readonly threads: LayerThreads;
  /** What encodes chunks of disks; closed by who made the context. Default: this thread. */
  readonly encoders?: () => Promise<ChunkEncoders>;
  /** What compares images for deltas; closed by who made the context. Default: this thread. */
  readonly deltaThreads?: () => Promise<DeltaThreads>;
  /** What images are unpacked into. Absent: nothing; a pull then only checks its layers. */
  readonly snapshotter?: Snapshotter;
  readonly signal: AbortSignal;
  readonly onProgress: (event: ProgressEvent) => void;
}
