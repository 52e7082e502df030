/** Answers that no part of the daemon gives because the request does not get that far, in the form that the path's clients read. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { ERROR_TABLE, type ErrorCode } from "../../errors/table.ts";
import type { VarveError } from "../../errors/varve-error.ts";
import { isRegistryPath, pathOf } from "./visit.ts";

/** OCI distribution-spec 1.1, "Error Codes". */
const REGISTRY_CODES: Partial<Record<ErrorCode, string>> = {
  UNAUTHORIZED: "UNAUTHORIZED",
  DENIED: "DENIED",
  TOO_MANY_REQUESTS: "TOOMANYREQUESTS",
  DAEMON_BUSY: "TOOMANYREQUESTS",
};

export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  error: VarveError,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = Buffer.from(JSON.stringify(bodyOf(isRegistryPath(pathOf(request.url)), error)));
  response.writeHead(ERROR_TABLE[error.code].http, {
    "Content-Type": "application/json",
    "Content-Length": body.length,
    // A body that is still coming is not read to its end for somebody who is turned away.
    ...(hasBody(request) && { Connection: "close" }),
    ...headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** RFC 9112 §6: what says that there is one. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** `{"error":{code,message,hint}}`, or as registries have it. */
export function bodyOf(isRegistry: boolean, { code, message, hint }: VarveError): object {
  if (!isRegistry) return { error: { code, message, hint } };
  return { errors: [{ code: REGISTRY_CODES[code] ?? "UNKNOWN", message: `${message}; ${hint}` }] };
}

export function answerJson(response: ServerResponse, status: number, body: object): void {
  const text = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": text.length,
    "Cache-Control": "no-store",
  });
  response.end(text);
}
