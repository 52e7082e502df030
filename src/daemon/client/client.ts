/**
 * A client of the daemon's API by `fetch` alone, for browsers and for Node: nothing that it loads needs more. Who talks to a Unix socket takes
 * `connectDaemon` (connect-daemon.ts).
 *
 * @example
 * const client = openClient({ url: "http://127.0.0.1:4510", token });
 * const job = await client.pulls.create({ reference: "docker.io/library/debian:12" });
 * for await (const event of client.jobs.events(job.id)) console.log(event);
 */
import type { CommitInput, SnapshotInput } from "../api/schemas/snapshots.ts";
import type { DeltaInput } from "../api/schemas/deltas.ts";
import type { ExportInput, ImportInput } from "../api/schemas/disks.ts";
import type { FsckInput, GcInput } from "../api/schemas/store.ts";
import type { Job, JobEvent } from "../api/schemas/jobs.ts";
import type { AnswerOf, RequestOf } from "../api/schemas/routes.ts";
import type { OperationId } from "../api/schemas/operations.ts";
import type { PlanInput, PullInput } from "../api/schemas/pulls.ts";
import { followEvents, waitForJob, type EventsOptions } from "./follow-events.ts";
import { send, type Connection, type Request } from "./send.ts";

export interface ClientOptions {
  /** Where the daemon is: `http://127.0.0.1:4510`; in its own page the empty text. */
  readonly url: string;
  /** One of the daemon's tokens. Default: none, as its Unix socket and its page behind other authentication need. */
  readonly token?: string | undefined;
  /** Default: the global one. */
  readonly fetch?: Connection["fetch"];
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface PageOptions extends CallOptions {
  readonly limit?: number;
  /** `next` of the part before. */
  readonly after?: string;
}

export type JobsOptions = RequestOf<"listJobs">["query"] & CallOptions;

export type Client = ReturnType<typeof openClient>;

/** All that it does rejects with a VarveError of the code that the daemon gives; `DAEMON_UNREACHABLE` when it gives none. */
export function openClient({ url, token, fetch = globalThis.fetch.bind(globalThis) }: ClientOptions) {
  const connection: Connection = { base: url.replace(/\/+$/, ""), token, fetch };
  const call = <Id extends OperationId>(id: Id, request: Request, options: CallOptions = {}): Promise<AnswerOf<Id>> =>
    send(connection, id, { ...request, signal: options.signal }) as Promise<AnswerOf<Id>>;
  const page = ({ limit, after }: PageOptions): Request => ({ query: { limit, after } });
  const events = (id: string | undefined, options: EventsOptions = {}): AsyncGenerator<JobEvent, void, undefined> =>
    followEvents(connection, id, options);
  return {
    version: (options?: CallOptions) => call("getVersion", {}, options),
    images: {
      list: (options: PageOptions = {}) => call("listImages", page(options), options),
      get: (name: string, options?: CallOptions) => call("getImage", { params: { name } }, options),
      remove: (name: string, options?: CallOptions) => call("removeImage", { params: { name } }, options),
      layers: (name: string, options?: CallOptions) => call("getStrata", { params: { name } }, options),
      tag: (name: string, newName: string, options?: CallOptions) =>
        call("tagImage", { params: { name }, body: { name: newName } }, options),
    },
    pulls: {
      create: (body: PullInput, options?: CallOptions) => call("createPull", { body }, options),
    },
    plans: {
      create: (body: PlanInput, options?: CallOptions) => call("createPlan", { body }, options),
    },
    snapshots: {
      list: (options: PageOptions = {}) => call("listSnapshots", page(options), options),
      create: (body: SnapshotInput, options?: CallOptions) => call("createSnapshot", { body }, options),
      commit: (key: string, body: CommitInput, options?: CallOptions) =>
        call("commitSnapshot", { params: { key }, body }, options),
      mounts: (key: string, options?: CallOptions) => call("getMounts", { params: { key } }, options),
      usage: (key: string, options?: CallOptions) => call("getUsage", { params: { key } }, options),
      remove: async (key: string, options?: CallOptions): Promise<void> => {
        await call("removeSnapshot", { params: { key } }, options);
      },
    },
    deltas: {
      list: (options: PageOptions = {}) => call("listDeltas", page(options), options),
      get: (name: string, options?: CallOptions) => call("getDelta", { params: { name } }, options),
      create: (body: DeltaInput, options?: CallOptions) => call("createDelta", { body }, options),
    },
    disks: {
      list: (options: PageOptions = {}) => call("listDisks", page(options), options),
      get: (image: string, options?: CallOptions) => call("getDisk", { params: { image } }, options),
      import: (body: ImportInput, options?: CallOptions) => call("importDisk", { body }, options),
      export: (body: ExportInput, options?: CallOptions) => call("exportDisk", { body }, options),
    },
    gc: {
      start: (body: GcInput = {}, options?: CallOptions) => call("startGc", { body }, options),
      preview: (query: RequestOf<"previewGc">["query"] = {}, options?: CallOptions) =>
        call("previewGc", { query }, options),
    },
    fsck: {
      start: (body: FsckInput = {}, options?: CallOptions) => call("startFsck", { body }, options),
    },
    df: (options?: CallOptions) => call("getDiskUsage", {}, options),
    jobs: {
      list: ({ signal, ...query }: JobsOptions = {}) => call("listJobs", { query }, { signal }),
      get: (id: string, options?: CallOptions) => call("getJob", { params: { id } }, options),
      cancel: (id: string, options?: CallOptions) => call("cancelJob", { params: { id } }, options),
      /** Until the job has ended. Where the connection breaks it is made again, and tells what is known by then. */
      events: (id: string, options?: EventsOptions) => events(id, options),
      /** The job when it has ended, however it did. */
      wait: (id: string, options: EventsOptions = {}): Promise<Job> => waitForJob(events(id, options)),
    },
    /** What becomes of all jobs, until the signal. Where the connection breaks it is made again. */
    events: (options?: EventsOptions) => events(undefined, options),
  };
}
