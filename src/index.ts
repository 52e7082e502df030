/**
 * The library: all that the commands do, for programs.
 *
 * @example
 * await using varve = await openVarve({ root: "/var/lib/varve" });
 * const { imageId } = await pull(varve, "docker.io/library/debian:12");
 * await unpack(varve, "docker.io/library/debian:12", "/srv/rootfs");
 */
import type { Decompressor } from "./codec/decompressors.ts";
import type { ConfigChanges } from "./daemon/config/with-changes.ts";
import type { RunningDaemon } from "./daemon/server/start-daemon.ts";
import { inOneThread } from "./layer/in-process.ts";
import type { ProgressEvent } from "./recipe/progress.ts";
import { RegistryClient } from "./registry/client.ts";
import type { RegistryOptions } from "./registry/options.ts";
import { openStore, type StoreOptions } from "./store/store.ts";
import type { TransferContext } from "./transfer/context.ts";
import { snapshotterFor, type SnapshotterChoice } from "./transfer/snapshotter.ts";
import { ChunkPool } from "./workers/chunk-pool.ts";
import { DeltaPool } from "./workers/delta-pool.ts";
import { LayerPool } from "./workers/layer-pool.ts";

export interface VarveOptions {
  /** The store's directory; made when it does not exist. */
  readonly root: string;
  readonly store?: StoreOptions;
  readonly registry?: RegistryOptions;
  /** Threads that inflate and hash layers, and as many that encode disks. Default: one per core, four at most; 0 does it in the caller's thread. */
  readonly threads?: number;
  /** Layers that are unpacked at the same time. Default: one per core, or as many as there are threads where that is given. */
  readonly unpackJobs?: number;
  /** What inflates large gzip layers. Default: the decoder that is built in. */
  readonly decompressor?: Decompressor;
  /** What images are unpacked into. Default `auto`: the best that works in this store; `none`: they are only checked. */
  readonly snapshotter?: SnapshotterChoice;
  /** Ends everything that is under way. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: ProgressEvent) => void;
}

/** A store with what is needed to work on it. Dispose of it when done. */
export type Varve = TransferContext & AsyncDisposable;

/** @throws VarveError `STORE_NEWER`, `STORE_READ_ONLY`, `PERMISSION`, `NO_SPACE` ... */
export async function openVarve(options: VarveOptions): Promise<Varve> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await openStore(options.root, options.store));
  const registry = stack.use(new RegistryClient(options.registry));
  const threads = options.threads === 0 ? inOneThread(options.unpackJobs) : stack.use(new LayerPool(options));
  const encoders = options.threads === 0 ? undefined : stack.use(new ChunkPool(options.threads));
  const deltaThreads = options.threads === 0 ? undefined : stack.use(new DeltaPool());
  const owned = stack.move();
  return {
    store,
    registry,
    threads,
    ...(encoders !== undefined && { encoders: () => Promise.resolve(encoders) }),
    ...(deltaThreads !== undefined && { deltaThreads: () => Promise.resolve(deltaThreads) }),
    snapshotter: snapshotterFor(store, options.snapshotter ?? "auto", options.store),
    signal: options.signal ?? new AbortController().signal,
    onProgress: options.onProgress ?? (() => {}),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export interface ServeOptions {
  /** What differs from the defaults. `listen` says where: on the socket of `varve serve` unless an address or another socket is named. */
  readonly config?: ConfigChanges;
  /** How registries are spoken to that the daemon mirrors. Default: as those of no options. */
  readonly registry?: RegistryOptions;
  /** Takes the log, a line of JSON each. Default: stderr. */
  readonly write?: (line: string) => void;
}

/**
 * The daemon over an opened store, in this process. Stop it before the store is disposed of.
 *
 * @example
 * await using daemon = await serve(varve, { config: { listen: { address: "127.0.0.1:0", noAuth: true } } });
 * @throws VarveError `CONFIGURATION_INVALID`, `DAEMON_RUNNING`, `LISTEN_FAILED` ...
 */
export async function serve(varve: Varve, options: ServeOptions = {}): Promise<RunningDaemon> {
  const [{ startDaemon }, { defaultConfig }, { withChanges }] = await Promise.all([
    import("./daemon/server/start-daemon.ts"),
    import("./daemon/config/defaults.ts"),
    import("./daemon/config/with-changes.ts"),
  ]);
  const defaults = defaultConfig(process.env);
  const { address = null } = options.config?.listen ?? {};
  const listen = { ...defaults.listen, ...(address !== null && { socket: null }) };
  return startDaemon({
    configure: () => Promise.resolve(withChanges({ ...defaults, listen }, options.config ?? {})),
    context: (run) => Promise.resolve({ ...varve, ...run }),
    openRegistry: (more) => new RegistryClient({ ...options.registry, ...more }),
    ...(options.write !== undefined && { write: options.write }),
  });
}

export { fileBase, memoryBase, type Base } from "./codec/librsync/base.ts";
export { ComposedDeltas, writeComposedDelta, type ComposeOptions } from "./codec/librsync/compose/compose.ts";
export type { DeltaOp } from "./codec/librsync/delta-format.ts";
export { readDelta } from "./codec/librsync/delta-parser.ts";
export { DirectDeltas, writeDirectDelta, type DirectDeltaOptions } from "./codec/librsync/direct/generate.ts";
export { applyDelta, type PatchOptions } from "./codec/librsync/patch.ts";
export { readSignature, type Signature } from "./codec/librsync/read-signature.ts";
export type { SignatureOptions } from "./codec/librsync/signature-sizes.ts";
export { writeSignatureDelta, type SignatureDeltaOptions } from "./codec/librsync/write-signature-delta.ts";
export { writeSignature } from "./codec/librsync/write-signature.ts";
export { connectDaemon, type ConnectOptions, type DaemonClient } from "./daemon/client/connect-daemon.ts";
export { openClient, type Client, type ClientOptions } from "./daemon/client/client.ts";
export type { DaemonConfig } from "./daemon/config/types.ts";
export type { ConfigChanges } from "./daemon/config/with-changes.ts";
export type { RunningDaemon } from "./daemon/server/start-daemon.ts";
export { copyDisk, type DiskCopyOptions } from "./disk/copy.ts";
export { rdiffDelta, rdiffDiff, rdiffPatch, rdiffSignature } from "./delta/rdiff/rdiff.ts";
export type { RdiffOptions } from "./delta/rdiff/options.ts";
export type { DeltaResult, PatchResult, RdiffResult, SignatureResult } from "./delta/rdiff/results.ts";
export type { DiskCopy } from "./disk/copy-report.ts";
export type { SparseMode } from "./disk/sparse-modes.ts";
export { ERROR_TABLE, type ErrorCode } from "./errors/table.ts";
export { isVarveError, VarveError } from "./errors/varve-error.ts";
export type { Descriptor } from "./oci/descriptor.ts";
export { isDigest, parseDigest, type Digest } from "./oci/digest.ts";
export { formatPlatform, parsePlatform, type Platform } from "./oci/platform.ts";
export { formatReference, parseReference, type Reference } from "./oci/reference.ts";
export type { ByteCounts } from "./recipe/bytes.ts";
export type { ProgressEvent } from "./recipe/progress.ts";
export { RegistryClient } from "./registry/client.ts";
export type { RegistryOptions } from "./registry/options.ts";
export type { DriverReport } from "./snapshot/probe.ts";
export type { DriverName, Mount, SnapshotKind, Usage } from "./snapshot/types.ts";
export { openStore, type Store, type StoreOptions } from "./store/store.ts";
export { commitImage, type CommitOptions, type CommitResult } from "./transfer/commit-image.ts";
export { convertImage, type ConvertedLayer, type ConvertOptions, type ConvertResult } from "./transfer/convert.ts";
export { copyImage, type CopyOptions, type CopyResult } from "./transfer/copy.ts";
export { composeDeltas } from "./transfer/deltas/compose/compose-deltas.ts";
export type {
  ComposeDeltasOptions,
  ComposedLayerResult,
  DeltaComposed,
} from "./transfer/deltas/compose/compose-types.ts";
export { createDelta } from "./transfer/deltas/create.ts";
export { inspectDelta } from "./transfer/deltas/inspect.ts";
export type { DeltaDetails, InspectDeltaOptions, InspectedLayer } from "./transfer/deltas/inspect-types.ts";
export type {
  CreateDeltaOptions,
  DeltaCreated,
  DeltaFormat,
  DeltaLayerResult,
} from "./transfer/deltas/create-types.ts";
export { diffSnapshot, saveDiff, type ChangeRow, type DiffOptions, type SavedDiff } from "./transfer/diff-snapshot.ts";
export { diskUsage, type DiskUsage } from "./transfer/disk-usage.ts";
export { checkStore, type CheckOptions, type Finding, type FindingKind, type StoreReport } from "./transfer/fsck.ts";
export { cloneMachine, type CloneOptions, type CloneResult } from "./transfer/disks/clone.ts";
export {
  exportDisk,
  exportMachine,
  type ExportDiskOptions,
  type ExportOptions,
  type ExportResult,
} from "./transfer/disks/export.ts";
export { diskInformation, type DiskInformation } from "./transfer/disks/info.ts";
export { importDisk, type ImportOptions, type ImportResult } from "./transfer/disks/import-disk.ts";
export { collectGarbage, type GcOptions, type GcResult } from "./transfer/gc.ts";
export {
  inspectImage,
  listImages,
  rawDocument,
  removeImages,
  tagImage,
  type ImageDetails,
  type ImageRow,
  type InspectOptions,
  type RemoveResult,
} from "./transfer/images.ts";
export {
  commitSnapshot,
  listDrivers,
  listSnapshots,
  prepareSnapshot,
  removeSnapshots,
  snapshotMounts,
  snapshotUsage,
  type PreparedSnapshot,
  type PrepareSnapshotOptions,
  type SnapshotRow,
} from "./transfer/manage-snapshots.ts";
export {
  mountImage,
  unmountImage,
  type MountOptions,
  type MountResult,
  type UnmountResult,
} from "./transfer/mount-image.ts";
export { prune, type PruneOptions, type PruneResult } from "./transfer/prune.ts";
export { applyDeltaImage, type ApplyDeltaOptions } from "./transfer/deltas/apply-delta.ts";
export { pull, type PullOptions } from "./transfer/pull.ts";
export type { DiskResult, LayerResult, PullResult } from "./transfer/pull-result.ts";
export { pushImage, type PushOptions, type PushResult } from "./transfer/push.ts";
export type { SnapshotterChoice } from "./transfer/snapshotter.ts";
export { unpack, type UnpackOptions, type UnpackResult } from "./transfer/unpack.ts";
