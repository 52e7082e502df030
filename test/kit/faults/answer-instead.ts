/** Answers that the proxy gives itself; the registry never hears of the request. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import type { OwnAnswer } from "./fault.ts";

export function answerInstead(request: IncomingMessage, response: ServerResponse, fault: OwnAnswer): void {
  const socket = request.socket;
  switch (fault.kind) {
    case "reset":
      socket.resetAndDestroy();
      return;
    case "garbage":
      socket.end(fault.bytes ?? "\u0000\u0001 this is not HTTP\r\n\r\n");
      return;
    case "redirect":
      request.resume();
      response.writeHead(fault.status ?? 307, { location: `${fault.to}${request.url}`, "content-length": 0 }).end();
      return;
    case "status": {
      request.resume();
      const { status, headers = {}, retryAfter } = fault;
      const body = fault.body ?? errorBody(status);
      const retry = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
      response.writeHead(status, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        ...retry,
        ...headers,
      });
      response.end(request.method === "HEAD" ? undefined : body);
    }
  }
}

function errorBody(status: number): string {
  const code = status === 429 ? "TOOMANYREQUESTS" : status === 401 ? "UNAUTHORIZED" : "UNKNOWN";
  return JSON.stringify({ errors: [{ code, message: STATUS_CODES[status] ?? `status ${status}` }] });
}
