/** What a server of the kit saw and answered, for assertions. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

export interface LoggedRequest {
  readonly method: string;
  /** Path with query, as it was sent. */
  readonly url: string;
  /** Path without query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Peer's port: equal for requests on one connection. */
  readonly connection: number;
  /** 0 until the answer's head was sent. */
  readonly status: number;
  /** Body bytes received. */
  readonly received: number;
  /** Body bytes handed to the socket; more than the client saw when it went away. */
  readonly sent: number;
  /** The connection broke before the answer was complete. */
  readonly aborted: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Appends an entry that is kept up to date while the exchange goes on. */
export function logRequest(log: LoggedRequest[], request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? "/";
  const entry: Mutable<LoggedRequest> = {
    method: request.method ?? "GET",
    url,
    path: url.split("?", 1)[0] ?? url,
    // A copy: quirks take out of the request what they ignore.
    headers: { ...request.headers },
    connection: request.socket.remotePort ?? 0,
    status: 0,
    received: 0,
    sent: 0,
    aborted: false,
  };
  log.push(entry);
  countReceived(request, entry);
  countSent(response, entry);
  response.on("close", () => {
    entry.status = response.headersSent ? response.statusCode : 0;
    entry.aborted = !response.writableFinished;
  });
}

/** Counts without a "data" listener, which would start the stream flowing before its handler is there. */
function countReceived(request: IncomingMessage, entry: Mutable<LoggedRequest>): void {
  const push = request.push.bind(request);
  request.push = (chunk: Uint8Array | null, encoding?: BufferEncoding) => {
    if (chunk !== null) entry.received += chunk.length;
    return push(chunk, encoding);
  };
}

function countSent(response: ServerResponse, entry: Mutable<LoggedRequest>): void {
  const write = response.write.bind(response) as (...args: unknown[]) => boolean;
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  const count = (chunk: unknown) => {
    if (typeof chunk === "string" || chunk instanceof Uint8Array) entry.sent += Buffer.byteLength(chunk);
  };
  response.writeHead = (...args: unknown[]) => {
    entry.status = Number(args[0]);
    return writeHead(...args);
  };
  response.write = ((...args: unknown[]) => {
    count(args[0]);
    return write(...args);
  }) as typeof response.write;
  response.end = ((...args: unknown[]) => {
    if (typeof args[0] !== "function") count(args[0]);
    return end(...args);
  }) as typeof response.end;
}
