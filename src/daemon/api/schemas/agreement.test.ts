/** The schemas say of requests, answers and events what the use cases and the queue's types say. It is the compiler that finds out. */
import { expect, it } from "vitest";
import type { Digest } from "../../../oci/digest.ts";
import type { ProgressEvent } from "../../../recipe/progress.ts";
import type { DeltaCreated } from "../../../transfer/deltas/create-types.ts";
import type { DeltaDetails } from "../../../transfer/deltas/inspect-types.ts";
import type { DiskUsage } from "../../../transfer/disk-usage.ts";
import type { ExportResult } from "../../../transfer/disks/export.ts";
import type { ImportResult } from "../../../transfer/disks/import-disk.ts";
import type { ImageInfo } from "../../../transfer/disks/info.ts";
import type { StoreReport } from "../../../transfer/fsck.ts";
import type { GcResult } from "../../../transfer/gc.ts";
import type { ImageDetails, ImageRow, RemoveResult } from "../../../transfer/images.ts";
import type { PreparedSnapshot, SnapshotRow } from "../../../transfer/manage-snapshots.ts";
import type { PullResult } from "../../../transfer/pull-result.ts";
import type { Job, JobEvent, JobKind, JobKinds } from "../../jobs/types.ts";
import type * as deltas from "./deltas.ts";
import type * as disks from "./disks.ts";
import type * as images from "./images.ts";
import type * as jobs from "./jobs.ts";
import type * as progress from "./progress.ts";
import type * as pulls from "./pulls.ts";
import type * as snapshots from "./snapshots.ts";
import type * as store from "./store.ts";

/** A type as JSON carries it: digests are text again, and who received it may change it. */
type Json<T> = T extends Digest
  ? string
  : T extends readonly (infer Item)[]
    ? Json<Item>[]
    : T extends object
      ? { -readonly [Key in keyof T]: Json<T[Key]> }
      : T;

/** True where each may stand for the other. */
type Same<A, B> = [A] extends [B]
  ? [B] extends [A]
    ? true
    : "the schema leaves something out"
  : "the schema has more";

/** A job of any kind, where the kind tells what it takes and gives. */
type AnyJob = { [Kind in JobKind]: Json<Job<Kind>> }[JobKind];
type AnyJobEvent = { type: "job"; job: AnyJob } | Json<Extract<JobEvent, { type: "progress" }>>;

const agreements: readonly true[] = [
  true satisfies Same<pulls.PullResult, Json<PullResult>>,
  true satisfies Same<pulls.PullInput, Json<JobKinds["pull"]["input"]>>,
  true satisfies Same<images.ImageRow, Json<ImageRow>>,
  true satisfies Same<images.ImageDetails, Json<ImageDetails>>,
  true satisfies Same<images.RemoveResult, Json<RemoveResult>>,
  true satisfies Same<snapshots.SnapshotRow, Json<SnapshotRow>>,
  true satisfies Same<snapshots.PreparedSnapshot, Json<PreparedSnapshot>>,
  true satisfies Same<deltas.DeltaInput, Json<JobKinds["delta"]["input"]>>,
  true satisfies Same<deltas.DeltaCreated, Json<DeltaCreated>>,
  true satisfies Same<deltas.DeltaDetails, Json<DeltaDetails>>,
  true satisfies Same<disks.DiskImage, Json<ImageInfo>>,
  true satisfies Same<disks.ImportResult, Json<ImportResult>>,
  true satisfies Same<disks.ExportResult, Json<ExportResult>>,
  true satisfies Same<store.GcInput, Json<JobKinds["gc"]["input"]>>,
  true satisfies Same<store.GcResult, Json<GcResult>>,
  true satisfies Same<store.FsckInput, Json<JobKinds["fsck"]["input"]>>,
  true satisfies Same<store.StoreReport, Json<StoreReport>>,
  true satisfies Same<store.DiskUsage, Json<DiskUsage>>,
  true satisfies Same<progress.ProgressEvent, Json<ProgressEvent>>,
  true satisfies Same<jobs.Job, AnyJob>,
  true satisfies Same<jobs.JobEvent, AnyJobEvent>,
];

it("types of the schemas and of the use cases can stand for each other", () => {
  expect(agreements).toHaveLength(21);
});
