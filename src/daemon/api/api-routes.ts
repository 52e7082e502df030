/**
 * The API, `/v1`: each operation of the table is a route here, which holds the request to its schemas and hands it to its handler. What is thrown
 * is answered by the server's own error handler, as everywhere.
 */
import { Readable as NodeReadable } from "node:stream";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { ERROR_TABLE } from "../../errors/table.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { JobEvent } from "../jobs/types.ts";
import { balenaRoutes } from "./balena/balena-routes.ts";
import type { ApiParts, Handlers, StreamId } from "./call.ts";
import { eventStream } from "./event-stream.ts";
import { deltaHandlers } from "./handlers/deltas.ts";
import { diskHandlers } from "./handlers/disks.ts";
import { imageHandlers } from "./handlers/images.ts";
import { jobHandlers } from "./handlers/jobs.ts";
import { pullHandlers } from "./handlers/pulls.ts";
import { snapshotHandlers } from "./handlers/snapshots.ts";
import { storeHandlers } from "./handlers/store.ts";
import { takeOnlyJson } from "./json-body.ts";
import { referenceRoutes } from "./reference/reference-routes.ts";
import { refuseOtherMethods } from "./other-methods.ts";
import { requestCheck, type Checked } from "./request-checks.ts";
import { placeOf, type OperationId } from "./schemas/operations.ts";
import { ROUTES, type RouteSpec } from "./schemas/routes.ts";
import { goneSignal } from "./gone-signal.ts";
import { streamSeats, type StreamSeats } from "./stream-seats.ts";
import { turnsOf } from "./turns.ts";

const HANDLERS: Handlers<Exclude<OperationId, StreamId>> = {
  ...imageHandlers,
  ...pullHandlers,
  ...snapshotHandlers,
  ...deltaHandlers,
  ...diskHandlers,
  ...storeHandlers,
  ...jobHandlers,
};

/** Also `/openapi.json`, `/docs`, and what balena's engine answers for deltas. */
export function apiRoutes(parts: ApiParts): FastifyPluginAsync {
  return async (app) => {
    await app.register(async (scope) => {
      takeOnlyJson(scope);
      const seats = streamSeats();
      const ids = Object.keys(ROUTES) as OperationId[];
      for (const id of ids) addRoute(scope, id, parts, seats);
      refuseOtherMethods(scope, ids.map(placeOf));
    });
    await app.register(balenaRoutes(parts));
    await app.register(referenceRoutes(parts.version));
  };
}

function addRoute(scope: FastifyInstance, id: OperationId, parts: ApiParts, seats: StreamSeats): void {
  const spec: RouteSpec = ROUTES[id];
  const { method, path } = placeOf(id);
  const turns = turnsOf(spec);
  // Compiled when it is first asked for: most daemons serve a few of these.
  let check: ReturnType<typeof requestCheck> | undefined;
  scope.route({
    method,
    url: path.replaceAll(/\{(\w+)\}/g, ":$1"),
    // A stream has no end whose length a HEAD could tell.
    exposeHeadRoute: spec.streams !== true,
    async handler(request, reply) {
      check ??= requestCheck(spec);
      const checked = check(request);
      void reply.headers({ "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" });
      if (isStream(id)) return follow(id, checked, { request, reply, parts, seats });
      using _turn = turns.take();
      const answer = await answerOf(id, checked, parts, reply);
      void reply.code(spec.status);
      if (spec.status === 202) void reply.header("Location", `/v1/jobs/${(answer as { id: string }).id}`);
      if (spec.answer === null) return reply.send();
      return reply.type("application/json; charset=utf-8").send(JSON.stringify(answer));
    },
  });
}

function isStream(id: OperationId): id is StreamId {
  return (ROUTES[id] as RouteSpec).streams === true;
}

async function answerOf(
  id: Exclude<OperationId, StreamId>,
  checked: Checked,
  parts: ApiParts,
  reply: FastifyReply,
): Promise<unknown> {
  const { daemon } = parts;
  const onProgress = (): void => undefined;
  const call = {
    ...checked,
    parts,
    context: () => daemon.context({ signal: AbortSignal.any([goneSignal(reply.raw), daemon.signal]), onProgress }),
    lastingContext: () => daemon.context({ signal: daemon.signal, onProgress }),
  };
  // The schemas of this very operation have passed it.
  const handler = HANDLERS[id] as (call: unknown) => Promise<unknown>;
  return handler(call).catch(asOfRegistry);
}

/** A 401 would ask the client for a key of the daemon, and it is the daemon that lacks one of a registry. */
function asOfRegistry(error: unknown): never {
  if (!(error instanceof VarveError) || ERROR_TABLE[error.code].http !== 401) throw error;
  const { message, hint, detail } = error;
  throw new VarveError("DENIED", message, { hint, detail, cause: error });
}

interface Following {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly parts: ApiParts;
  readonly seats: StreamSeats;
}

async function follow(
  id: StreamId,
  checked: Checked,
  { request, reply, parts, seats }: Following,
): Promise<FastifyReply> {
  const { daemon, jobs } = parts;
  const jobId = id === "followJob" ? (checked.params as { id: string }).id : undefined;
  // Not found is an answer of its own, and no event.
  if (jobId !== undefined && (await jobs.queue.get(jobId)) === undefined) {
    throw new VarveError("JOB_NOT_FOUND", `there is no job ${JSON.stringify(jobId)}`);
  }
  if (daemon.stopping.aborted) throw new VarveError("INTERRUPTED", "the daemon stops");
  const seat = seats.take(request.ip);
  const ended = new AbortController();
  const signal = AbortSignal.any([goneSignal(reply.raw), daemon.stopping, ended.signal]);
  const events: AsyncIterable<JobEvent> = jobs.feed.subscribe(jobId, signal);
  // Little is read ahead, so that the feed knows how slow the reader is.
  const stream = NodeReadable.from(eventStream(events, { signal }), { objectMode: false, highWaterMark: 4096 });
  stream.once("close", () => {
    ended.abort();
    seat[Symbol.dispose]();
  });
  return reply.headers({ "Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no" }).send(stream);
}
