/** Fastify with all routes but `/v2/`: health and metrics here, the API and the page by their own plugins. */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { toVarveError } from "../../errors/from-system.ts";
import { ERROR_TABLE } from "../../errors/table.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Log } from "../daemon.ts";
import type { ServerMetrics } from "../metrics/prometheus.ts";
import { challengeFor } from "./authenticate.ts";
import { bodyOf } from "./refuse.ts";
import { isReading, visitOf, type Visit } from "./visit.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Whoever reaches the daemon may have it: the page's files, descriptions of the API. Default: a key is needed. */
    readonly public?: boolean;
  }
}

export interface AppParts {
  readonly bodyBytes: number;
  readonly log: Log;
  readonly metrics: ServerMetrics;
  /** @throws VarveError when the request may not pass */
  readonly admit: (request: FastifyRequest["raw"], visit: Visit) => void;
  readonly plugins: readonly FastifyPluginAsync[];
}

/** A plugin all of whose routes are for everybody. */
export function publicly(plugin: FastifyPluginAsync): FastifyPluginAsync {
  return async (scope) => {
    scope.addHook("onRoute", (route) => {
      route.config = { ...route.config, public: true };
    });
    await plugin(scope, {});
  };
}

/** Names are one percent-encoded segment of a path, and may be long. */
const MAX_SEGMENT = 4096;

export async function buildApp(parts: AppParts): Promise<FastifyInstance> {
  const { fastify } = await import("fastify");
  const app = fastify({
    bodyLimit: parts.bodyBytes,
    routerOptions: { maxParamLength: MAX_SEGMENT },
    // What is wrong with a request is the daemon's to log, where secrets are taken out.
    logger: false,
    // Stopping is the daemon's matter as well: answers under way are given time.
    return503OnClosing: false,
    // An URL that cannot be decoded reaches no route, and so not the handler of errors below.
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply, parts.log),
  });
  app.addHook("onRequest", async (request) => {
    const visit = visitOf(request.raw);
    if (visit === undefined) throw new VarveError("INTERNAL", "a request did not come in by the gate");
    if (request.routeOptions.config.public !== true) parts.admit(request.raw, visit);
  });
  app.addHook("preHandler", async (request) => {
    const visit = visitOf(request.raw);
    if (visit !== undefined && !isReading(request.method)) visit.subject = subjectOf(request.body);
  });
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, parts.log));
  app.setNotFoundHandler((request, reply) =>
    answerError(
      new VarveError("ROUTE_UNKNOWN", `there is no ${request.method} ${request.url.slice(0, 200)}`),
      request,
      reply,
      parts.log,
    ),
  );
  app.get("/metrics", async (_, reply) => {
    const { type, text } = await parts.metrics.exposition();
    return reply.header("Content-Type", type).header("Cache-Control", "no-store").send(text);
  });
  for (const plugin of parts.plugins) await app.register(plugin);
  await app.ready();
  return app;
}

async function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Log): Promise<void> {
  const coded = codedError(error);
  const status = ERROR_TABLE[coded.code].http;
  if (status >= 500) log.error({ id: visitOf(request.raw)?.id, code: coded.code, error: coded.stack }, coded.message);
  if (coded.code === "UNAUTHORIZED") void reply.headers(challengeFor(request.url));
  await reply.code(status).send(bodyOf(false, coded));
}

/** What fastify itself finds wrong has its own codes. */
function codedError(error: unknown): VarveError {
  const { code, statusCode, message } = error as { code?: string; statusCode?: number; message?: string };
  if (error instanceof VarveError || statusCode === undefined || statusCode >= 500) return toVarveError(error);
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new VarveError("REQUEST_TOO_LARGE", "the request's body is too large");
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE")
    return new VarveError("CONTENT_TYPE_UNSUPPORTED", "the API takes JSON");
  return new VarveError("REQUEST_INVALID", message ?? "the request is not as it should be", { cause: error });
}

const MAX_FIELDS = 16;
const MAX_TEXT = 300;

/** What a mutation is about, in as much as one line of the audit log takes. */
function subjectOf(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return {};
  const fields = Object.entries(body).slice(0, MAX_FIELDS);
  return Object.fromEntries(
    fields
      .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
      .map(([name, value]) => [name, typeof value === "string" ? value.slice(0, MAX_TEXT) : value]),
  );
}
