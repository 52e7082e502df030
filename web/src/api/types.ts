/** What the daemon answers: the types of its own schemas, and nothing that runs. */
import type { Static } from "typebox";
import type { byteCounts } from "../../../src/daemon/api/schemas/common.ts";

export type { DeltaRow } from "../../../src/daemon/api/schemas/deltas.ts";
export type { ImageRow, Stratum } from "../../../src/daemon/api/schemas/images.ts";
export type { Job, JobEvent, JobKind, JobState } from "../../../src/daemon/api/schemas/jobs.ts";
export type { ProgressEvent } from "../../../src/daemon/api/schemas/progress.ts";
export type { LayerResult, PullResult } from "../../../src/daemon/api/schemas/pulls.ts";
export type { DiskUsage, GcInput, GcResult, StoreReport } from "../../../src/daemon/api/schemas/store.ts";
export type ByteCounts = Static<typeof byteCounts>;
