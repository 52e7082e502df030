/** One request and its answer, on one connection and without redirects: what the two HTTP clients have in common. */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { TlsSettings } from "./trust.ts";

export interface WireRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers: Record<string, string | string[]>;
  readonly body?: string | undefined;
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
