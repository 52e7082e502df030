/**
 * What each operation takes and gives. Requests are held to it, the OpenAPI document and the reference page are made of it, and tests ask every route
 * by it and hold the answers to it.
 */
import type { Static, TObject, TSchema } from "typebox";
import type { ErrorCode } from "../../../errors/table.ts";
import { imageWord, object, pageQuery, snapshotKey, text } from "./common.ts";
import { deltaDetails, deltaInput, deltaList } from "./deltas.ts";
import { deltaJob, fsckJob, gcJob, job, jobEvent, jobList, jobQuery, pullJob } from "./jobs.ts";
import { diskList, exportInput, exportResult, imageInfo, importInput, importResult } from "./disks.ts";
import { imageDetails, imageList, removeResult, strata, tagged, tagInput } from "./images.ts";
import { planInput, pullInput, pullResult } from "./pulls.ts";
import {
  commitInput,
  mountList,
  preparedSnapshot,
  snapshotInput,
  snapshotList,
  snapshotRow,
  snapshotUsage,
} from "./snapshots.ts";
import { diskUsage, fsckInput, gcInput, gcQuery, gcResult, version } from "./store.ts";
import type { OperationId } from "./operations.ts";

export interface RouteSpec {
  readonly tag: "Images" | "Pulls" | "Snapshots" | "Deltas" | "Disks" | "Store" | "Jobs" | "Balena";
  readonly summary: string;
  readonly description?: string;
  /** Each one percent-encoded segment of the path. */
  readonly params?: TObject;
  readonly query?: TObject;
  readonly body?: TObject;
  /** Whether the body may be left out, and then is `{}`. */
  readonly bodyOptional?: boolean;
  readonly status: 200 | 201 | 202 | 204;
  /** Of the answer's JSON, or of each event's data; null where there is no body. */
  readonly answer: TSchema | null;
  /** How many of these requests are worked on at once, of what takes long, reads much or asks others. Default: as many as come. */
  readonly atOnce?: number;
  /** Server-sent events and no single answer. */
  readonly streams?: true;
  /** Of answers that are errors. Default: `errorBody`. */
  readonly failure?: TSchema;
  /** Errors that it is likely to give, beside those that every route may give. */
  readonly errors: readonly ErrorCode[];
}

/** What every route may give. */
export const COMMON_ERRORS = ["REQUEST_INVALID", "UNAUTHORIZED", "TOO_MANY_REQUESTS", "INTERNAL"] as const;
export const BODY_ERRORS = ["REQUEST_TOO_LARGE", "CONTENT_TYPE_UNSUPPORTED"] as const;

const name = object({ name: imageWord() });
const image = object({ image: imageWord() });
const key = object({ key: snapshotKey("Of the snapshot.") });
const id = object({ id: text(128, { description: "Of the job." }) });
const page = object(pageQuery);
const JOB = "Answers at once: the job is at the Location, and can be followed at `Location/events`.";

export const ROUTES = {
  getVersion: { tag: "Store", summary: "The daemon's version", status: 200, answer: version, errors: [] },
  listImages: {
    tag: "Images",
    summary: "Images of the store, by name",
    query: page,
    status: 200,
    answer: imageList,
    errors: [],
  },
  getImage: {
    tag: "Images",
    summary: "What an image is",
    params: name,
    status: 200,
    answer: imageDetails,
    errors: ["IMAGE_NOT_FOUND", "REFERENCE_INVALID"],
  },
  removeImage: {
    tag: "Images",
    summary: "Take an image out of the store, and what no other needs",
    description: "A digest takes out all names of its image.",
    params: name,
    status: 200,
    answer: removeResult,
    errors: ["IMAGE_NOT_FOUND", "REFERENCE_INVALID"],
  },
  getStrata: {
    tag: "Images",
    summary: "The layers of an image, and which other images have them",
    params: name,
    status: 200,
    atOnce: 16,
    answer: strata,
    errors: ["IMAGE_NOT_FOUND", "REFERENCE_INVALID"],
  },
  tagImage: {
    tag: "Images",
    summary: "Give an image one more name",
    description: "The old name stays; what the new one stood for before loses it.",
    params: name,
    body: tagInput,
    status: 200,
    answer: tagged,
    errors: ["IMAGE_NOT_FOUND", "REFERENCE_INVALID"],
  },
  createPull: {
    tag: "Pulls",
    summary: "Get an image into the store",
    description: JOB,
    body: pullInput,
    status: 202,
    answer: pullJob,
    errors: ["REFERENCE_INVALID", "PLATFORM_INVALID", "QUEUE_FULL"],
  },
  createPlan: {
    tag: "Pulls",
    summary: "What a pull would move, and why",
    description: "Asks the registry, and writes nothing.",
    body: planInput,
    status: 200,
    atOnce: 32,
    answer: pullResult,
    errors: [
      "REFERENCE_INVALID",
      "PLATFORM_INVALID",
      "MANIFEST_UNKNOWN",
      "PLATFORM_NOT_FOUND",
      "DENIED",
      "REGISTRY_UNREACHABLE",
    ],
  },
  listSnapshots: {
    tag: "Snapshots",
    summary: "Snapshots, the oldest first",
    query: page,
    status: 200,
    answer: snapshotList,
    errors: [],
  },
  createSnapshot: {
    tag: "Snapshots",
    summary: "A new snapshot, to be written or to be read",
    description: "An image that it is to stand on is unpacked first when it has to be.",
    body: snapshotInput,
    status: 201,
    atOnce: 16,
    answer: preparedSnapshot,
    errors: ["SNAPSHOT_EXISTS", "SNAPSHOT_NOT_FOUND", "SNAPSHOT_STATE", "SNAPSHOT_INVALID", "IMAGE_NOT_FOUND"],
  },
  commitSnapshot: {
    tag: "Snapshots",
    summary: "Make an active snapshot one that never changes",
    params: key,
    body: commitInput,
    status: 200,
    answer: snapshotRow,
    errors: ["SNAPSHOT_NOT_FOUND", "SNAPSHOT_STATE", "SNAPSHOT_EXISTS", "SNAPSHOT_INVALID"],
  },
  getMounts: {
    tag: "Snapshots",
    summary: "What there is to mount for a snapshot",
    params: key,
    status: 200,
    answer: mountList,
    errors: ["SNAPSHOT_NOT_FOUND", "SNAPSHOT_STATE"],
  },
  getUsage: {
    tag: "Snapshots",
    summary: "What a snapshot takes",
    params: key,
    status: 200,
    answer: snapshotUsage,
    errors: ["SNAPSHOT_NOT_FOUND"],
  },
  removeSnapshot: {
    tag: "Snapshots",
    summary: "Remove a snapshot",
    params: key,
    status: 204,
    answer: null,
    errors: ["SNAPSHOT_NOT_FOUND", "SNAPSHOT_STATE"],
  },
  listDeltas: {
    tag: "Deltas",
    summary: "Deltas that the store holds, by name",
    query: page,
    status: 200,
    answer: deltaList,
    errors: [],
  },
  getDelta: {
    tag: "Deltas",
    summary: "What a delta is taken from, and what it makes",
    description: "Reads the delta.",
    params: name,
    status: 200,
    atOnce: 8,
    answer: deltaDetails,
    errors: ["IMAGE_NOT_FOUND", "USAGE", "DELTA_IMAGE_INVALID", "DELTA_INVALID"],
  },
  createDelta: {
    tag: "Deltas",
    summary: "Make a delta between two images",
    description: JOB,
    body: deltaInput,
    status: 202,
    answer: deltaJob,
    errors: ["REFERENCE_INVALID", "PLATFORM_INVALID", "QUEUE_FULL"],
  },
  listDisks: {
    tag: "Disks",
    summary: "Images of virtual machines, and what of their disks is here",
    query: page,
    status: 200,
    atOnce: 8,
    answer: diskList,
    errors: [],
  },
  getDisk: {
    tag: "Disks",
    summary: "What the image of a virtual machine is, and what of its disks is here",
    params: image,
    status: 200,
    answer: imageInfo,
    errors: ["IMAGE_NOT_FOUND", "MEDIA_TYPE_UNSUPPORTED"],
  },
  importDisk: {
    tag: "Disks",
    summary: "Make an image of a machine's directory or of a disk",
    description: "Answers when it is done; it ends when the client goes away, and then nothing stays in the store.",
    body: importInput,
    status: 201,
    atOnce: 4,
    answer: importResult,
    errors: ["DISKS_CLOSED", "FILE_NOT_FOUND", "PATH_INVALID", "REFERENCE_INVALID", "USAGE", "DISK_UNREADABLE"],
  },
  exportDisk: {
    tag: "Disks",
    summary: "Write the directory of a machine, or its disk alone",
    description: "Answers when it is done; it ends when the client goes away, and then nothing is written.",
    body: exportInput,
    status: 201,
    atOnce: 4,
    answer: exportResult,
    errors: ["DISKS_CLOSED", "IMAGE_NOT_FOUND", "MEDIA_TYPE_UNSUPPORTED", "TARGET_NOT_EMPTY", "FILE_EXISTS", "USAGE"],
  },
  startGc: {
    tag: "Store",
    summary: "Remove what nothing needs",
    description: JOB,
    body: gcInput,
    bodyOptional: true,
    status: 202,
    answer: gcJob,
    errors: ["QUEUE_FULL"],
  },
  previewGc: {
    tag: "Store",
    summary: "What would be removed, and how much it would free",
    query: gcQuery,
    status: 200,
    atOnce: 4,
    answer: gcResult,
    errors: [],
  },
  startFsck: {
    tag: "Store",
    summary: "Check the store, and mend it where that is asked for",
    description: JOB,
    body: fsckInput,
    bodyOptional: true,
    status: 202,
    answer: fsckJob,
    errors: ["QUEUE_FULL", "REFERENCE_INVALID"],
  },
  getDiskUsage: {
    tag: "Store",
    summary: "What the store takes, and what of it only one image needs",
    status: 200,
    atOnce: 8,
    answer: diskUsage,
    errors: [],
  },
  listJobs: {
    tag: "Jobs",
    summary: "Jobs, the newest first",
    query: jobQuery,
    status: 200,
    answer: jobList,
    errors: [],
  },
  getJob: {
    tag: "Jobs",
    summary: "A job as it is now",
    params: id,
    status: 200,
    answer: job,
    errors: ["JOB_NOT_FOUND"],
  },
  followJob: {
    tag: "Jobs",
    summary: "What becomes of a job, until it has ended",
    description:
      "Server-sent events: first the job as it is and what is last known of each blob, then each change. Who reads slowly gets fewer progress events.",
    params: id,
    status: 200,
    answer: jobEvent,
    streams: true,
    errors: ["JOB_NOT_FOUND"],
  },
  cancelJob: {
    tag: "Jobs",
    summary: "End a job",
    description: "What it has fetched stays. A job that has ended stays as it is.",
    params: id,
    status: 200,
    answer: job,
    errors: ["JOB_NOT_FOUND"],
  },
  followJobs: {
    tag: "Jobs",
    summary: "What becomes of all jobs",
    description: "Server-sent events: first all jobs that have not ended, then each change of any.",
    status: 200,
    answer: jobEvent,
    streams: true,
    errors: [],
  },
} as const satisfies Record<OperationId, RouteSpec>;

type Of<Id extends OperationId, Part extends string> = (typeof ROUTES)[Id] extends {
  readonly [K in Part]: infer Schema extends TSchema;
}
  ? Static<Schema>
  : undefined;

/** What a request to a route holds, checked; undefined what the route does not take. */
export interface RequestOf<Id extends OperationId> {
  readonly params: Of<Id, "params">;
  readonly query: Of<Id, "query">;
  readonly body: Of<Id, "body">;
}

/** What a route answers; of one that streams each event. */
export type AnswerOf<Id extends OperationId> = Of<Id, "answer">;
