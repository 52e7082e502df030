/** What is told of a request when it has ended: a line of the log, of the audit, and the metrics. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerMetrics } from "../metrics/prometheus.ts";
import { changeOf, type Audit } from "./audit.ts";
import type { DaemonLog } from "./log.ts";
import { shownPath } from "./shown-path.ts";
import { isReading, routeOf, type Visit } from "./visit.ts";

/** Reading that takes so long is worth a line that is shown. */
const SLOW_SECONDS = 1;

export interface TellParts {
  readonly log: DaemonLog;
  readonly audit: Audit;
  readonly metrics: ServerMetrics;
}

export function tellEnd(parts: TellParts, visit: Visit, request: IncomingMessage, response: ServerResponse): void {
  const { log, audit, metrics } = parts;
  const seconds = (performance.now() - visit.startedAt) / 1000;
  metrics.requestEnded(methodOf(request), routeOf(visit.path), response.statusCode, seconds);
  audit.record(visit, request, response);
  const level = !isReading(request.method) || seconds >= SLOW_SECONDS ? "info" : "debug";
  if (!log.shows(level)) return;
  const isCutOff = !response.writableFinished;
  const facts = isReading(request.method) ? readOf(visit, request, response) : changeOf(visit, request, response);
  log[level]({ ...facts, ...(isCutOff && { isCutOff }), ms: Math.round(seconds * 1000) }, "request");
}

function readOf({ id, caller, peer }: Visit, { method, url }: IncomingMessage, { statusCode }: ServerResponse): object {
  const who = caller?.name ?? "nobody";
  return { id, who, ...(peer !== "" && { peer }), method, path: shownPath(url), status: statusCode };
}

const METHODS: ReadonlySet<string> = new Set("GET HEAD OPTIONS POST PUT PATCH DELETE".split(" "));

/** Node knows thirty more, which no part of the daemon answers. */
function methodOf({ method = "" }: IncomingMessage): string {
  return METHODS.has(method) ? method : "other";
}
