/** What the daemon answers: the types of its own schemas, and nothing that runs. */
import type { Static } from "typebox";
import type { byteCounts } from "../../../src/daemon/api/schemas/common.ts";

export type { ErrorBody } from "../../../src/daemon/api/schemas/common.ts";
export type { DeltaCreated, DeltaInput, DeltaList, DeltaRow } from "../../../src/daemon/api/schemas/deltas.ts";
export type { ImageList, ImageRow, RemoveResult, Strata, Stratum } from "../../../src/daemon/api/schemas/images.ts";
export type { Job, JobEvent, JobKind, JobList, JobState } from "../../../src/daemon/api/schemas/jobs.ts";
export type { ProgressEvent } from "../../../src/daemon/api/schemas/progress.ts";
export type { LayerResult, PlanInput, PullInput, PullResult } from "../../../src/daemon/api/schemas/pulls.ts";
export type { DiskUsage, GcInput, GcResult, StoreReport, Version } from "../../../src/daemon/api/schemas/store.ts";
export type ByteCounts = Static<typeof byteCounts>;
