/**
 * What every request passes, whichever part of the daemon answers it: is there room, is it not too often, does it come from where it may,
 * who is it. In this order, so that what costs the least is asked first and nobody without a key learns more than that one is needed.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { ServerMetrics } from "../metrics/prometheus.ts";
import { authenticate, challengeFor, type Keys } from "./authenticate.ts";
import { checkOrigin } from "./origin.ts";
import type { RateLimits } from "./rate-limits.ts";
import { answerJson, refuse } from "./refuse.ts";
import { isRegistryPath, pathOf, remember, type Entrance, type Visit } from "./visit.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

export interface GateParts {
  /** As they are now. */
  readonly limits: () => { readonly concurrentRequests: number };
  readonly keys: () => Keys;
  readonly rates: RateLimits;
  readonly metrics: ServerMetrics;
  readonly isStopping: () => boolean;
  /** Told of each request that was answered, or that ended without. */
  readonly onEnd: (visit: Visit, request: IncomingMessage, response: ServerResponse) => void;
  /** `/v2/`; behind the gate. */
  readonly registry: Handler;
  /** All else; it asks {@link Gate.admit} where a route is not for everybody. */
  readonly routes: Handler;
}

export interface Gate {
  handle(request: IncomingMessage, response: ServerResponse, entrance: Entrance): void;
  /** Lets the request in and remembers who it is. @throws VarveError `UNAUTHORIZED`, `DENIED` */
  admit(request: IncomingMessage, visit: Visit): void;
  /** Requests under way. */
  readonly active: number;
}

export function openGate(parts: GateParts): Gate {
  const { metrics, rates } = parts;
  const prefix = `${Date.now().toString(36)}-`;
  let count = 0;
  let active = 0;

  function begin(request: IncomingMessage, response: ServerResponse, entrance: Entrance): Visit {
    const visit: Visit = {
      id: prefix + (count++).toString(36),
      entrance,
      peer: request.socket.remoteAddress ?? "",
      path: pathOf(request.url),
      startedAt: performance.now(),
    };
    remember(request, visit);
    response.setHeader("X-Request-Id", visit.id);
    // Who keeps a connection open would otherwise keep the daemon from ending.
    if (parts.isStopping()) response.setHeader("Connection", "close");
    active++;
    metrics.requestBegan();
    response.once("close", () => {
      active--;
      parts.onEnd(visit, request, response);
    });
    return visit;
  }

  function admit(request: IncomingMessage, visit: Visit): void {
    try {
      checkOrigin(request, visit.entrance);
      visit.caller = authenticate(request, visit, parts.keys());
    } catch (error) {
      const refused = toVarveError(error);
      metrics.refused(refused.code === "UNAUTHORIZED" ? "unauthorized" : "origin");
      throw refused;
    }
  }

  /** @returns what speaks against answering it now */
  function roomFor(visit: Visit): { readonly error: VarveError; readonly retryAfter: number } | undefined {
    const { concurrentRequests } = parts.limits();
    if (active > concurrentRequests) {
      metrics.refused("busy");
      return { error: new VarveError("DAEMON_BUSY", `${concurrentRequests} requests are under way`), retryAfter: 1 };
    }
    const wait = visit.entrance.kind === "socket" ? 0 : rates.take(visit.peer);
    if (wait === 0) return undefined;
    metrics.refused("rate");
    const hint = "wait as long as Retry-After says";
    return { error: new VarveError("TOO_MANY_REQUESTS", "you ask too often", { hint }), retryAfter: wait };
  }

  function handle(request: IncomingMessage, response: ServerResponse, entrance: Entrance): void {
    const visit = begin(request, response, entrance);
    if (answerHealth(visit, response, parts.isStopping())) return;
    const full = roomFor(visit);
    if (full !== undefined) {
      refuse(request, response, full.error, { "Retry-After": String(full.retryAfter) });
      return;
    }
    if (!isRegistryPath(visit.path)) {
      parts.routes(request, response);
      return;
    }
    try {
      admit(request, visit);
    } catch (error) {
      const refused = toVarveError(error);
      refuse(request, response, refused, refused.code === "UNAUTHORIZED" ? challengeFor(visit.path) : {});
      return;
    }
    parts.registry(request, response);
  }

  return {
    handle,
    admit,
    get active() {
      return active;
    },
  };
}

/** Whoever watches over the daemon asks without a key, and is answered however much there is to do. */
function answerHealth({ path }: Visit, response: ServerResponse, isStopping: boolean): boolean {
  if (path === "/healthz") answerJson(response, 200, { status: "alive" });
  else if (path === "/readyz")
    answerJson(response, isStopping ? 503 : 200, { status: isStopping ? "stopping" : "ready" });
  else return false;
  return true;
}
