/** The use cases as the commands call them: bound to one store, one registry client and one run. */
import type { GivenValues } from "../daemon/config/resolve-config.ts";
import type { WorkerOptions, WorkerResult } from "../daemon/jobs/worker/run-worker.ts";
import type { RunningDaemon } from "../daemon/server/start-daemon.ts";
import type { ProgressEvent } from "../recipe/progress.ts";
import type { commitImage } from "../transfer/commit-image.ts";
import type { convertImage } from "../transfer/convert.ts";
import type { CopyOptions, CopyResult } from "../transfer/copy.ts";
import type { TransferContext } from "../transfer/context.ts";
import type { importDisk } from "../transfer/disks/import-disk.ts";
import type { diffSnapshot, saveDiff } from "../transfer/diff-snapshot.ts";
import type { composeDeltas } from "../transfer/deltas/compose/compose-deltas.ts";
import type { createDelta } from "../transfer/deltas/create.ts";
import type { inspectDelta } from "../transfer/deltas/inspect.ts";
import type { diskUsage } from "../transfer/disk-usage.ts";
import type { checkStore } from "../transfer/fsck.ts";
import type { collectGarbage } from "../transfer/gc.ts";
import type { inspectImage, listImages, rawDocument, removeImages, tagImage } from "../transfer/images.ts";
import type {
  commitSnapshot,
  listDrivers,
  listSnapshots,
  prepareSnapshot,
  removeSnapshots,
  snapshotMounts,
  snapshotUsage,
} from "../transfer/manage-snapshots.ts";
import type { mountImage, unmountImage } from "../transfer/mount-image.ts";
import type { cloneMachine } from "../transfer/disks/clone.ts";
import type { diskInformation } from "../transfer/disks/info.ts";
import type { exportMachine, exportDisk } from "../transfer/disks/export.ts";
import type { copyDisk, DiskCopyOptions } from "../disk/copy.ts";
import type { rdiffDelta, rdiffDiff, rdiffPatch, rdiffSignature } from "../delta/rdiff/rdiff.ts";
import type { Login } from "../registry/client.ts";
import type { CredentialPlace } from "../registry/credentials/credential-file.ts";
import type { prune } from "../transfer/prune.ts";
import type { applyDeltaImage } from "../transfer/deltas/apply-delta.ts";
import type { PullOptions } from "../transfer/pull.ts";
import type { PullResult } from "../transfer/pull-result.ts";
import type { pushImage } from "../transfer/push.ts";
import type { unpack } from "../transfer/unpack.ts";
import type { Credentials } from "./parse-values.ts";
import type { Settings } from "./settings.ts";

/** A use case without its context. */
type Bound<UseCase> = UseCase extends (context: TransferContext, ...args: infer Args) => infer Result
  ? (...args: Args) => Result
  : never;

/** Nothing is opened before the first call that needs it. Disposing closes what was opened. */
export interface Services extends AsyncDisposable {
  /** `sync: false` does not wait for the disk. */
  pull(reference: string, options: PullOptions & { readonly sync?: boolean }): Promise<PullResult>;
  readonly unpack: Bound<typeof unpack>;
  readonly pushImage: Bound<typeof pushImage>;
  readonly convertImage: Bound<typeof convertImage>;
  copyImage(from: string, to: string, options: CopyOptions): Promise<CopyResult>;
  readonly listImages: Bound<typeof listImages>;
  readonly inspectImage: Bound<typeof inspectImage>;
  readonly rawDocument: Bound<typeof rawDocument>;
  readonly tagImage: Bound<typeof tagImage>;
  readonly removeImages: Bound<typeof removeImages>;
  readonly diffSnapshot: Bound<typeof diffSnapshot>;
  readonly saveDiff: Bound<typeof saveDiff>;
  readonly commitImage: Bound<typeof commitImage>;
  readonly applyDeltaImage: Bound<typeof applyDeltaImage>;
  readonly composeDeltas: Bound<typeof composeDeltas>;
  readonly createDelta: Bound<typeof createDelta>;
  readonly inspectDelta: Bound<typeof inspectDelta>;
  readonly mountImage: Bound<typeof mountImage>;
  readonly unmountImage: Bound<typeof unmountImage>;
  readonly listSnapshots: Bound<typeof listSnapshots>;
  readonly listDrivers: Bound<typeof listDrivers>;
  readonly prepareSnapshot: Bound<typeof prepareSnapshot>;
  readonly commitSnapshot: Bound<typeof commitSnapshot>;
  readonly snapshotMounts: Bound<typeof snapshotMounts>;
  readonly snapshotUsage: Bound<typeof snapshotUsage>;
  readonly removeSnapshots: Bound<typeof removeSnapshots>;
  readonly diskUsage: Bound<typeof diskUsage>;
  readonly collectGarbage: Bound<typeof collectGarbage>;
  readonly prune: Bound<typeof prune>;
  readonly checkStore: Bound<typeof checkStore>;
  readonly importDisk: Bound<typeof importDisk>;
  readonly exportMachine: Bound<typeof exportMachine>;
  readonly exportDisk: Bound<typeof exportDisk>;
  readonly diskInformation: Bound<typeof diskInformation>;
  readonly cloneMachine: Bound<typeof cloneMachine>;
  /** Files, not images: no store is opened for it. */
  copyDisk(
    from: string,
    to: string,
    options: Omit<DiskCopyOptions, "signal" | "onProgress">,
  ): ReturnType<typeof copyDisk>;
  /** Files, not images, as with `copyDisk`. */
  readonly rdiffSignature: typeof rdiffSignature;
  readonly rdiffDelta: typeof rdiffDelta;
  readonly rdiffDiff: typeof rdiffDiff;
  readonly rdiffPatch: typeof rdiffPatch;
  /** Starts the daemon on this store; what is given goes before the environment and the file. */
  serve(options: { readonly file?: string; readonly given: GivenValues }): Promise<RunningDaemon>;
  /** Works off a shared queue, until the run is stopped. `url`: default `VARVE_QUEUE` of the environment. */
  work(options: Omit<WorkerOptions, "context" | "signal" | "url"> & { readonly url?: string }): Promise<WorkerResult>;
  /** Asks the registry whether it takes the credentials. @throws VarveError `UNAUTHORIZED`, `REGISTRY_*` */
  checkLogin(host: string, credentials: Credentials): Promise<Login>;
  storeCredentials(host: string, credentials: Credentials): Promise<CredentialPlace>;
  /** Where there were any. */
  eraseCredentials(host: string): Promise<readonly CredentialPlace[]>;
}

export interface Run {
  readonly signal: AbortSignal;
  readonly onProgress: (event: ProgressEvent) => void;
}

export type Connect = (settings: Settings, run: Run) => Services;
