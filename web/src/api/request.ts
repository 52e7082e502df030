/** Requests to the daemon that this page came from. What goes wrong is one class of errors, with the code and the hint that the daemon gave. */
import type { ErrorBody } from "./types.ts";
import { token, wantToken } from "./token.ts";

export class ApiError extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(code: string, message: string, hint: string) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.hint = hint;
  }
}

export interface Asked {
  readonly method?: "GET" | "POST" | "DELETE";
  /** Sent as JSON. */
  readonly body?: object;
  readonly signal?: AbortSignal;
}

/** @param path below `/v1`, with its parts percent-encoded */
export async function ask<T>(path: string, asked: Asked = {}): Promise<T> {
  const response = await send(path, asked);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** The response itself, once it is known to be a good one. @throws ApiError; what the signal was aborted with */
export async function send(path: string, { method = "GET", body, signal }: Asked): Promise<Response> {
  const known = token();
  const response = await fetch(`/v1${path}`, {
    method,
    cache: "no-store",
    credentials: "same-origin",
    headers: {
      ...(known !== null && { authorization: `Bearer ${known}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  }).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    throw new ApiError("OFFLINE", "the daemon does not answer", "see whether it runs: systemctl status varve");
  });
  if (response.ok) return response;
  if (response.status === 401) wantToken();
  throw await errorOf(response);
}

async function errorOf(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => undefined)) as Partial<ErrorBody> | undefined;
  const { code = `HTTP_${response.status}`, message, hint } = body?.error ?? {};
  return new ApiError(code, message ?? `the daemon answered ${response.status}`, hint ?? "see the daemon's log");
}

export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  return new ApiError("INTERNAL", thrown instanceof Error ? thrown.message : String(thrown), "reload the page");
}
