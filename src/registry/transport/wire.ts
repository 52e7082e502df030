/** One request and its answer, on one connection and without redirects: what the two HTTP clients have in common. */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { TlsSettings } from "./trust.ts";

export type HttpMethod = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface WireRequest {
  readonly method: HttpMethod;
  readonly url: URL;
  readonly headers: Record<string, string | string[]>;
  readonly body?: string | Uint8Array | undefined;
  /** In place of `body`, with a Content-Length among the headers; only by the client for blobs, which takes from it no more than it sends. */
  readonly stream?: AsyncIterable<Uint8Array> | undefined;
  /** Until the answer's headers are there, from the end of the request on. Default: as in the settings. */
  readonly headersMs?: number | undefined;
  readonly tls: TlsSettings;
  /** Bounds the time until the connection stands, TLS included. */
  readonly connectMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface WireAnswer {
  readonly status: number;
  /** The words beside the status. */
  readonly reason: string;
  /** A header that came several times is a list. */
  readonly headers: IncomingHttpHeaders;
  /** Must be read to its end or destroyed; that of HEAD needs neither. */
  readonly body: Readable;
}

export interface Wire extends AsyncDisposable {
  /** @throws Error as the client made it, for `networkFailure` */
  request(request: WireRequest): Promise<WireAnswer>;
}
