/**
 * `--debug`: one line per HTTP request, from the channels on which undici and Node's own client tell of them
 * (node:diagnostics_channel). No header is shown but the range and the kind of authorization, and of a query only what is known to
 * hold no secret: others may be signatures.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";
import type { Logger } from "./logger.ts";

/** As undici publishes it; only what is read here. */
interface PooledRequest {
  readonly origin?: unknown;
  readonly path: string;
  readonly method: string;
  /** Names and values by turns. */
  readonly headers?: readonly unknown[];
}

type HttpRequest = PooledRequest | ClientRequest;

interface RequestMessage {
  readonly request: HttpRequest;
  readonly response?: { readonly statusCode?: number };
  readonly error?: unknown;
}

const HARMLESS_KEYS: ReadonlySet<string> = new Set(["digest", "from", "last", "mount", "n", "ns", "scope", "service"]);

/** Until it is disposed. @param now milliseconds */
export function logRequests(logger: Pick<Logger, "debug">, now: () => number): Disposable {
  const startedAt = new WeakMap<HttpRequest, number>();
  const tell = (request: HttpRequest, outcome: string): void => {
    const elapsed = Math.round(now() - (startedAt.get(request) ?? now()));
    logger.debug(`${describe(request)}: ${outcome} after ${elapsed} ms`);
  };
  const begin = ({ request }: RequestMessage): void => void startedAt.set(request, now());
  const end = ({ request, response }: RequestMessage): void => tell(request, String(response?.statusCode));
  const fail = ({ request, error }: RequestMessage): void => tell(request, reasonOf(error));
  const listeners: Readonly<Record<string, (message: RequestMessage) => void>> = {
    "undici:request:create": begin,
    "undici:request:headers": end,
    "undici:request:error": fail,
    "http.client.request.start": begin,
    "http.client.response.finish": end,
    "http.client.request.error": fail,
  };
  const each = Object.entries(listeners).map(
    ([name, listener]) => [name, (message: unknown) => listener(message as RequestMessage)] as const,
  );
  for (const [name, listener] of each) subscribe(name, listener);
  return {
    [Symbol.dispose]() {
      for (const [name, listener] of each) unsubscribe(name, listener);
    },
  };
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

function describe(request: HttpRequest): string {
  const { method, path } = request;
  const value = (name: string): string | undefined => headerOf(request, name);
  const range = value("range");
  const authorization = value("authorization");
  const notes = [
    ...(range === undefined ? [] : [range]),
    ...(authorization === undefined ? [] : [`with ${authorization.split(" ")[0] ?? ""}`]),
  ];
  return `${method} ${originOf(request)}${shown(path)}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`;
}

function originOf(request: HttpRequest): string {
  if (!("getHeader" in request)) return String(request.origin);
  return `${request.protocol}//${headerOf(request, "host") ?? request.host}`;
}

function headerOf(request: HttpRequest, name: string): string | undefined {
  if ("getHeader" in request) {
    const value = request.getHeader(name);
    return value === undefined ? undefined : String(value);
  }
  const { headers = [] } = request;
  const index = headers.findIndex((header, at) => at % 2 === 0 && String(header).toLowerCase() === name);
  return index === -1 ? undefined : String(headers[index + 1]);
}

/** A path whose query has lost its secrets. */
function shown(path: string): string {
  const start = path.indexOf("?");
  if (start === -1) return path;
  const query = [...new URLSearchParams(path.slice(start))].map(([key, value]) =>
    HARMLESS_KEYS.has(key) ? `${key}=${value}` : `${key}=...`,
  );
  return `${path.slice(0, start)}?${query.join("&")}`;
}
