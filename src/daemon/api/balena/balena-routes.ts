/**
 * The delta API of balena's engine: `POST /images/delta`, which tells how it gets on, and `POST /deltas/create` of before.
 * Clients put a version of Docker's API in front of the path.
 */
import { Readable } from "node:stream";
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { toVarveError } from "../../../errors/from-system.ts";
import { ERROR_TABLE } from "../../../errors/table.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import { challengeFor } from "../../server/authenticate.ts";
import type { ApiParts } from "../call.ts";
import { goneSignal } from "../gone-signal.ts";
import { refuseOtherMethods } from "../other-methods.ts";
import { requestCheck } from "../request-checks.ts";
import type { Log } from "../../daemon.ts";
import { addDelta, followDelta, type DeltaQuery, type DeltaWork } from "./delta-job.ts";
import { BALENA_ROUTES } from "./balena-table.ts";
import type { BalenaMessage } from "./messages.ts";

const VERSION = "/:version(^v\\d{1,2}\\.\\d{1,3}$)";
/** What of a body comes is of no meaning. */
const MOST_BODY = 64 * 1024;

export function balenaRoutes(parts: ApiParts): FastifyPluginAsync {
  return async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: MOST_BODY }, (_request, _body, done) => done(null));
    scope.setErrorHandler((error, request, reply) => answerError(error, request, reply, parts.daemon.log));
    for (const { path, spec } of BALENA_ROUTES) {
      const check = requestCheck(spec);
      const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
        const query = pickQuery(request.query);
        check({ params: {}, query, body: {} });
        const work = await begin(parts, query as unknown as DeltaQuery, reply);
        return path === "/images/delta" ? answerMessages(parts, work, reply) : answerId(parts, work, reply);
      };
      for (const url of [path, VERSION + path]) scope.post(url, handler);
    }
    refuseOtherMethods(scope, BALENA_ROUTES);
  };
}

/** What else clients send is passed over, as the engine does. */
function pickQuery(query: unknown): Record<string, unknown> {
  const given = Object(query) as Record<string, unknown>;
  return Object.fromEntries(["src", "dest", "t"].flatMap((name) => (name in given ? [[name, given[name]]] : [])));
}

interface Begun {
  readonly work: DeltaWork;
  readonly source: string;
  readonly signal: AbortSignal;
}

async function begin(parts: ApiParts, query: DeltaQuery, reply: FastifyReply): Promise<Begun> {
  const { daemon, jobs } = parts;
  if (daemon.stopping.aborted) throw new VarveError("INTERRUPTED", "the daemon stops");
  const gone = goneSignal(reply.raw);
  const signal = AbortSignal.any([gone, daemon.stopping]);
  const work = await addDelta(parts, query, signal);
  const cancel = (): void => {
    // A daemon that stops ends connections too; its jobs go on when it is back.
    if (!daemon.stopping.aborted) void jobs.queue.cancel(work.job.id).catch(() => undefined);
  };
  if (gone.aborted) cancel();
  else gone.addEventListener("abort", cancel, { once: true });
  return { work, source: query.src, signal };
}

async function answerId(parts: ApiParts, { work, source, signal }: Begun, reply: FastifyReply): Promise<FastifyReply> {
  const messages = followDelta(parts, work, source, signal);
  for (;;) {
    const { done, value } = await messages.next();
    if (done === true) {
      return reply
        .code(201)
        .type("application/json")
        .send(JSON.stringify({ Id: value.imageId }));
    }
  }
}

/** What fails before there is anything to tell is an error of HTTP; later there can only be a message. */
async function answerMessages(
  parts: ApiParts,
  { work, source, signal }: Begun,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const messages = followDelta(parts, work, source, signal);
  const first = await messages.next();
  const lines = (async function* (): AsyncGenerator<string, void, undefined> {
    if (first.done === true) return;
    yield line(first.value);
    try {
      for await (const message of messages) yield line(message);
    } catch (error) {
      const { code, message } = toVarveError(error);
      yield line({ errorDetail: { code: ERROR_TABLE[code].http, message }, error: message });
    }
  })();
  const stream = Readable.from(lines, { objectMode: false, highWaterMark: 4096 });
  return reply.type("application/json").send(stream);
}

function line(message: BalenaMessage): string {
  return `${JSON.stringify(message)}\r\n`;
}

/** As Docker's clients read it, with what clients of this API read. */
async function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Log): Promise<void> {
  const { statusCode, message: text } = error as { statusCode?: number; message?: string };
  const isOfHttp = !(error instanceof VarveError) && statusCode !== undefined && statusCode < 500;
  const coded = isOfHttp
    ? new VarveError(statusCode === 413 ? "REQUEST_TOO_LARGE" : "REQUEST_INVALID", text ?? "")
    : toVarveError(error);
  const { code, message, hint } = coded;
  const { http } = ERROR_TABLE[code];
  if (http >= 500) log.error({ code, error: coded.stack }, message);
  if (code === "UNAUTHORIZED") void reply.headers(challengeFor(request.url));
  await reply.code(http).send({ message, error: { code, message, hint } });
}
