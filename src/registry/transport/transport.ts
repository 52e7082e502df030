/**
 * One HTTP exchange, redirects included. What belongs to one origin - authorization, the
 * headers of hosts.toml, the client's certificate - stays there. Cookies are not kept: Harbor demands CSRF tokens of
 * whoever sends its cookie back.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { TransportEvent } from "../blob-source.ts";
import type { Settings } from "../options.ts";
import { discard } from "./body.ts";
import { isStreamed, sending, type RequestBody } from "./request-body.ts";
import { proxyFor } from "./environment-proxy.ts";
import { RegistryFailure } from "./failure.ts";
import { checkLiteral } from "./guarded-lookup.ts";
import { HostGates, type Admission } from "./host-gates.ts";
import { LightClient } from "./light-client.ts";
import { networkFailure, speaksNoTls } from "./network-failure.ts";
import { tlsElsewhere, type TlsSettings } from "./trust.ts";
import type { HttpMethod, Wire } from "./wire.ts";

const MOST_REDIRECTS = 10;

export type Headers = Readonly<Record<string, string | readonly string[]>>;

export interface HttpRequest {
  readonly method: HttpMethod;
  readonly url: URL;
  /** Sent to every hop. */
  readonly headers: Headers;
  /** Sent to the URL's own scheme, host and port only. */
  readonly originHeaders?: Headers;
  /** A string is for the address that it was written to: it is not sent where a redirect leads. */
  readonly body?: string | Uint8Array | RequestBody | undefined;
  /** As in {@link WireRequest}. */
  readonly headersMs?: number | undefined;
  /** For bodies of any size: by the client that is fast with those, and slow to load. Default false. */
  readonly bulk?: boolean;
  readonly tls: TlsSettings;
  readonly connectMs: number;
  /** What is being done, for messages. */
  readonly doing: string;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TransportEvent) => void) | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  /** The words beside the status; empty when there are none. Azure says there what is wrong, also to HEAD. */
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  /** Must be read to its end or destroyed. */
  readonly body: Readable;
  /** How it counts for its host; it ends with the body. */
  readonly admission: Admission;
  /** Where the answer came from in the end. */
  readonly url: URL;
  /** True when another scheme, host or port answered than the one asked. */
  readonly elsewhere: boolean;
  /** Milliseconds from when it could be sent to its answer, over all redirects; connecting counts. */
  readonly latencyMs: number;
}

export class Transport implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #light: LightClient;
  #bulk: Promise<Wire> | undefined;
  readonly #gates: HostGates;
  /** What is sent may come from the same host, so those who send must not keep out those who fetch for them. */
  readonly #uploadGates: HostGates;

  constructor(settings: Settings) {
    const gates = { connections: settings.connectionsPerHost, clock: settings.clock };
    this.#gates = new HostGates(gates);
    this.#uploadGates = new HostGates(gates);
    this.#settings = settings;
    this.#light = new LightClient(settings);
  }

  /**
   * @param options.raw Lets network errors through as the HTTP client throws them.
   * @throws VarveError for whatever is not an answer; any status is an answer.
   */
  async send(request: HttpRequest, options: { raw?: boolean } = {}): Promise<HttpAnswer> {
    let { url, tls } = request;
    let elsewhere = false;
    let latencyMs = 0;
    for (let hops = 0; ; hops++) {
      const answer = await this.#once(request, url, tls, elsewhere, options.raw ?? false);
      latencyMs += answer.latencyMs;
      const next = redirectTarget(request, answer);
      if (next === undefined) return { ...answer, latencyMs };
      await discard(answer.body, contentLength(answer.headers));
      if (hops === MOST_REDIRECTS) throw lost(request, `more than ${MOST_REDIRECTS} redirects`);
      if (url.protocol === "https:" && next.protocol === "http:") {
        throw lost(request, `${url.host} redirects from https to plain http`);
      }
      if (next.origin !== url.origin && !elsewhere) {
        elsewhere = true;
        tls = tlsElsewhere(tls);
      }
      url = next;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#light[Symbol.asyncDispose]();
    await (await this.#bulk)?.[Symbol.asyncDispose]();
  }

  async #once(request: HttpRequest, url: URL, tls: TlsSettings, elsewhere: boolean, raw: boolean): Promise<HttpAnswer> {
    const { method, signal, doing } = request;
    const made = (): void => request.onEvent?.({ type: "request", host: url.host });
    const gates = isStreamed(request.body) ? this.#uploadGates : this.#gates;
    const admission = await enter(gates, request, url.host);
    const content = sending(request.body, request.onEvent);
    try {
      const wire = await this.#wireFor(request, url);
      const { clock, via, allowAddress } = this.#settings;
      checkLiteral(url, allowAddress);
      const asked = clock.now();
      const { status, reason, headers, body } = await wire.request({
        method,
        url,
        headers: {
          "user-agent": "varve",
          ...(via !== undefined && { via }),
          ...mutable(request.headers),
          ...content.headers,
          ...(elsewhere ? {} : mutable(request.originHeaders ?? {})),
        },
        body: content.body,
        stream: content.stream,
        headersMs: request.headersMs,
        tls,
        connectMs: request.connectMs,
        signal,
      });
      const latencyMs = clock.now() - asked;
      made();
      if (status < 400) admission.resume();
      if (method === "HEAD") admission.leave();
      else body.once("close", () => admission.leave());
      return { status, reason, headers, body, admission, url, elsewhere, latencyMs };
    } catch (error) {
      admission.leave();
      // Finding out that a registry speaks plain HTTP is no request: none was sent.
      if (!speaksNoTls(error)) made();
      // Raw errors tell what the registry itself speaks; where it sent us to is another matter.
      if (raw && url === request.url && signal?.aborted !== true) throw error;
      throw networkFailure(error, url.host, doing, signal);
    }
  }

  /** Documents go by the light client; blobs, and whatever a proxy is for, by the other one, which is loaded when it is needed. */
  async #wireFor({ bulk = false, body }: HttpRequest, url: URL): Promise<Wire> {
    if (!bulk && !isStreamed(body) && proxyFor(url, this.#settings.env) === undefined) return this.#light;
    this.#bulk ??= import("./dispatchers.ts").then(({ Dispatchers }) => new Dispatchers(this.#settings));
    return await this.#bulk;
  }
}

/** @throws VarveError `INTERRUPTED` */
async function enter(gates: HostGates, { signal, onEvent, doing }: HttpRequest, host: string): Promise<Admission> {
  try {
    return await gates.enter(host, { signal, onEvent });
  } catch (error) {
    throw networkFailure(error, host, doing, signal);
  }
}

/** The one value of a header; of several the first. */
export function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** `Content-Length` as a safe integer, or undefined. */
export function contentLength(headers: IncomingHttpHeaders): number | undefined {
  const value = header(headers, "content-length");
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function redirectTarget(request: HttpRequest, answer: HttpAnswer): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(answer.status)) return undefined;
  // A form with a secret in it is for the address it was written to.
  if (typeof request.body === "string") return undefined;
  // Only these two leave a method what it is (RFC 9110 §15.4); what was an upload would become a GET.
  const reads = request.method === "GET" || request.method === "HEAD";
  if (!reads && answer.status !== 307 && answer.status !== 308) return undefined;
  const location = header(answer.headers, "location");
  if (location === undefined || !URL.canParse(location, answer.url)) return undefined;
  const target = new URL(location, answer.url);
  if (target.protocol !== "https:" && target.protocol !== "http:") return undefined;
  // Credentials in a URL would become an Authorization header at its host; no registry needs that.
  target.username = "";
  target.password = "";
  target.hash = "";
  return target;
}

function lost(request: HttpRequest, what: string): RegistryFailure {
  return new RegistryFailure("REGISTRY_PROTOCOL", `${request.doing}: ${what}`, { detail: { host: request.url.host } });
}

function mutable(headers: Headers): Record<string, string | string[]> {
  const entries = Object.entries(headers).map(([name, value]): [string, string | string[]] => [
    name,
    typeof value === "string" ? value : [...value],
  ]);
  return Object.fromEntries(entries);
}
