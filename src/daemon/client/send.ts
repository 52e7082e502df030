/** One request to the daemon: where an operation is, what is sent, and errors as they are everywhere. */
import { ERROR_TABLE, type ErrorCode } from "../../errors/table.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { placeOf, type OperationId } from "../api/schemas/operations.ts";

export interface Connection {
  /** Without a slash at its end. */
  readonly base: string;
  readonly token: string | undefined;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

export interface Request {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** @returns the answer's JSON; undefined where there is none @throws VarveError; the signal's reason */
export async function send(connection: Connection, id: OperationId, request: Request): Promise<unknown> {
  const response = await open(connection, id, request, "application/json");
  if (response.status === 204) return undefined;
  try {
    return await response.json();
  } catch (error) {
    throw request.signal?.aborted === true ? error : unreachable("the daemon's answer breaks off", error);
  }
}

/** @returns the answer when its head is here and good */
export async function open(
  { base, token, fetch }: Connection,
  id: OperationId,
  { params = {}, query = {}, body, signal }: Request,
  accept: string,
): Promise<Response> {
  const { method, path } = placeOf(id);
  const url = base + path.replaceAll(/\{(\w+)\}/g, (_, name: string) => segment(params[name] ?? "")) + queryText(query);
  const response = await fetch(url, {
    method,
    redirect: "error",
    headers: {
      Accept: accept,
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "Content-Type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  }).catch((error: unknown) => {
    throw signal?.aborted === true ? error : unreachable("the daemon does not answer", error);
  });
  if (!response.ok) throw await errorOf(response);
  return response;
}

/** `.` and `..` are taken out of a URL by whoever reads it, however they are written. */
function segment(text: string): string {
  if (text !== "" && text !== "." && text !== ".." && text.isWellFormed()) return encodeURIComponent(text);
  throw new VarveError("REQUEST_INVALID", `this is no name: ${JSON.stringify(text)}`);
}

function queryText(query: NonNullable<Request["query"]>): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? "" : `?${new URLSearchParams(given).toString()}`;
}

async function errorOf(response: Response): Promise<VarveError> {
  const { status } = response;
  const body: unknown = await response.json().catch(() => undefined);
  const { code, message, hint } = factsOf(body);
  if (typeof code !== "string" || !Object.hasOwn(ERROR_TABLE, code) || typeof message !== "string") {
    // Something in between has answered in the daemon's place.
    return new VarveError("DAEMON_UNREACHABLE", `the answer is ${status}, and not the daemon's`, {
      detail: { status },
    });
  }
  return new VarveError(code as ErrorCode, message, { detail: { status }, ...(typeof hint === "string" && { hint }) });
}

function factsOf(body: unknown): { readonly code?: unknown; readonly message?: unknown; readonly hint?: unknown } {
  const error: unknown = typeof body === "object" && body !== null && "error" in body ? body.error : undefined;
  return typeof error === "object" && error !== null ? error : {};
}

export function unreachable(message: string, cause: unknown): VarveError {
  return isVarveError(cause) ? cause : new VarveError("DAEMON_UNREACHABLE", message, { cause });
}
