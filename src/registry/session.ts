/**
 * Authenticated exchanges with one endpoint: finds out which scheme it speaks, answers its challenges, and names it in
 * errors. Does not retry; attempts.ts does.
 */
import type { TransportEvent } from "./blob-source.ts";
import type { Authorizer, AuthContext, Authorization } from "./auth/authorizer.ts";
import { portFollowsScheme, type Endpoint, type Scheme } from "./endpoint.ts";
import { builtinHttp } from "./transport/builtin.ts";
import { readErrorBody } from "./transport/body.ts";
import { isLoopback } from "./transport/loopback.ts";
import type { RequestBody } from "./transport/request-body.ts";
import type { HttpMethod } from "./transport/wire.ts";
import { isRefused, networkFailure, speaksNoTls } from "./transport/network-failure.ts";
import { speaksPlainHttp } from "./transport/plain-probe.ts";
import { header, type Headers, type HttpAnswer, type Transport } from "./transport/transport.ts";
import { tlsElsewhere } from "./transport/trust.ts";
import { Warnings } from "./warnings.ts";
import type { Clock } from "./clock.ts";
import type { ErrorCode } from "../errors/table.ts";
import { isThrottle, type RegistryFailure } from "./transport/failure.ts";

export interface Ask {
  readonly method: HttpMethod;
  /** After `/v2/<name>`: `/manifests/latest`; or after `/v2` when `repository` is false. Query included. */
  readonly path: string;
  /** In place of the path: an address that an answer gave. On another origin it gets nothing that belongs to the endpoint. */
  readonly url?: URL;
  /** Default: true. */
  readonly repository?: boolean;
  /** The request needs the right to push. Default: false. */
  readonly push?: boolean;
  /** What else it needs a token for: `repository:<other>:pull`. */
  readonly extraScopes?: readonly string[];
  readonly headers?: Headers;
  /** As in {@link HttpRequest}. */
  readonly body?: Uint8Array | RequestBody | undefined;
  /** As in {@link HttpRequest}. */
  readonly headersMs?: number | undefined;
  /** As in {@link HttpRequest}. */
  readonly bulk?: boolean;
  /** For messages: `manifest docker.io/library/debian:12`. */
  readonly subject: string;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TransportEvent) => void) | undefined;
}

export interface SessionAnswer extends HttpAnswer {
  /** What it was asked with, to be kept out of messages. */
  readonly secrets: readonly string[];
}

/** At most this often is a 401 answered: once for the token, once more for a scope that only a second one names. */
const MOST_CHALLENGES = 2;

export class Session {
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #clock: Clock;
  readonly #schemes = new Map<string, Scheme>();
  readonly #warnings = new Warnings();

  constructor(transport: Transport, authorizer: Authorizer, clock: Clock) {
    this.#transport = transport;
    this.#authorizer = authorizer;
    this.#clock = clock;
  }

  /** Any answer but an authentication demand, which is met or becomes `UNAUTHORIZED` or `DENIED`. */
  async send(endpoint: Endpoint, ask: Ask): Promise<SessionAnswer> {
    const scheme = this.#schemes.get(schemeKey(endpoint)) ?? endpoint.schemes[0] ?? "https";
    if (ask.url !== undefined && ask.url.origin !== new URL(`${scheme}://${endpoint.host}`).origin) {
      return await this.follow(endpoint, ask.url, ask);
    }
    const context: AuthContext = {
      endpoint,
      plain: scheme === "http",
      repository: ask.repository ?? true,
      push: ask.push,
      extraScopes: ask.extraScopes,
      signal: ask.signal,
      onEvent: ask.onEvent,
    };
    let authorization = await this.#guard(endpoint, ask, () => this.#authorizer.ready(context));
    for (let challenges = 0; ; challenges++) {
      const answer = await this.#dispatch(endpoint, ask, authorization);
      const secrets = authorization?.secrets ?? [];
      this.#warnings.tell(answer, secrets, ask.onEvent);
      if (answer.status !== 401 || answer.elsewhere) return { ...answer, secrets };
      const text = ask.method === "HEAD" ? "" : await readErrorBody(answer.body);
      const demand = answer.headers["www-authenticate"];
      const plain = answer.url.protocol === "http:";
      const next =
        challenges < MOST_CHALLENGES
          ? await this.#guard(endpoint, ask, () =>
              this.#authorizer.answer({ ...context, plain }, demand, authorization),
            )
          : undefined;
      if (next === undefined) throw await this.#unauthorized(endpoint, ask, answer, text, authorization);
      authorization = next;
    }
  }

  /** Straight to a URL that a redirect of this endpoint led to, with nothing that belongs to the endpoint. */
  async follow(endpoint: Endpoint, url: URL, ask: Ask): Promise<SessionAnswer> {
    const answer = await this.#transport.send({
      method: ask.method,
      url,
      headers: ask.headers ?? {},
      body: ask.body,
      headersMs: ask.headersMs,
      bulk: ask.bulk ?? false,
      tls: tlsElsewhere(endpoint.tls),
      connectMs: endpoint.connectMs,
      doing: ask.subject,
      signal: ask.signal,
      onEvent: ask.onEvent,
    });
    return { ...answer, secrets: [], elsewhere: true };
  }

  /** The coded error for an answer that is not the wanted one; reads its body for the registry's words. */
  async refusal(answer: SessionAnswer, ask: Ask, missing: ErrorCode): Promise<RegistryFailure> {
    const body = ask.method === "HEAD" ? "" : await readErrorBody(answer.body);
    const { errorText, parseRetryAfter, statusFailure } = await import("./transport/refusals.ts");
    // Not the phrase that everybody sends.
    const reason = answer.reason === builtinHttp().STATUS_CODES[answer.status] ? "" : answer.reason;
    const failure = statusFailure({
      host: answer.url.host,
      subject: ask.subject,
      status: answer.status,
      text: errorText(body, answer.secrets) ?? errorText(reason, answer.secrets),
      retryAfterMs: parseRetryAfter(header(answer.headers, "retry-after"), this.#clock.now()),
      missing,
      ...(ask.push === true && answer.status === 403
        ? {
            hint: `the account may not write this; check its rights, or log in with another: varve login ${answer.url.host}`,
          }
        : {}),
    });
    if (isThrottle(failure)) answer.admission.throttled();
    return failure;
  }

  async #dispatch(endpoint: Endpoint, ask: Ask, authorization: Authorization | undefined): Promise<HttpAnswer> {
    const key = schemeKey(endpoint);
    const known = this.#schemes.get(key);
    const candidates = known === undefined ? await likelySchemes(endpoint, ask.signal) : [known];
    for (const [index, scheme] of candidates.entries()) {
      const last = index === candidates.length - 1;
      try {
        const answer = await this.#transport.send(request(endpoint, ask, scheme, authorization), { raw: true });
        this.#schemes.set(key, scheme);
        return answer;
      } catch (error) {
        const other = speaksNoTls(error) || (isRefused(error) && portFollowsScheme(endpoint));
        if (last || scheme !== "https" || !other) {
          throw networkFailure(error, endpoint.host, ask.subject, ask.signal);
        }
      }
    }
    throw new Error(`${endpoint.host} has no scheme`);
  }

  async #guard<T>(endpoint: Endpoint, ask: Ask, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw networkFailure(error, endpoint.host, ask.subject, ask.signal);
    }
  }

  async #unauthorized(
    endpoint: Endpoint,
    ask: Ask,
    answer: HttpAnswer,
    body: string,
    sent: Authorization | undefined,
  ): Promise<RegistryFailure> {
    const { errorText, statusFailure } = await import("./transport/refusals.ts");
    const account = endpoint.credentialHost;
    const demand = answer.headers["www-authenticate"] ?? "";
    // A token that was accepted as genuine but not as sufficient: the account exists and may not read this.
    const insufficient = sent?.anonymous === false && /error="?insufficient_scope/i.test(demand);
    return statusFailure({
      host: endpoint.host,
      subject: ask.subject,
      status: insufficient ? 403 : 401,
      text: errorText(body, sent?.secrets),
      missing: "REGISTRY_PROTOCOL",
      hint:
        sent?.header.startsWith("Basic ") === true
          ? `the credentials for ${account} were refused; log in again with: varve login ${account}`
          : `log in, or log in with an account that may ${ask.push === true ? "write" : "read"} this: varve login ${account}`,
    });
  }
}

function request(endpoint: Endpoint, ask: Ask, scheme: Scheme, authorization: Authorization | undefined) {
  const name = ask.repository === false ? "" : `/${endpoint.repository}`;
  const url = ask.url ?? new URL(`${scheme}://${endpoint.host}${endpoint.prefix}${name}${ask.path}`);
  if (endpoint.namespace !== undefined && ask.url === undefined) url.searchParams.set("ns", endpoint.namespace);
  return {
    method: ask.method,
    url,
    headers: ask.headers ?? {},
    body: ask.body,
    headersMs: ask.headersMs,
    originHeaders: {
      ...endpoint.headers,
      ...(authorization === undefined ? {} : { authorization: authorization.header }),
    },
    bulk: ask.bulk ?? false,
    tls: endpoint.tls,
    connectMs: endpoint.connectMs,
    doing: ask.subject,
    signal: ask.signal,
    onEvent: ask.onEvent,
  } as const;
}

/** A server on this machine that answers in plain HTTP need not be tried with TLS. */
async function likelySchemes(endpoint: Endpoint, signal: AbortSignal | undefined): Promise<readonly Scheme[]> {
  const { host, schemes } = endpoint;
  const isOpen = schemes[0] === "https" && schemes.includes("http");
  if (!isOpen || !isLoopback(host) || portFollowsScheme(endpoint)) return schemes;
  return (await speaksPlainHttp(host, signal)) ? ["http"] : schemes;
}

function schemeKey(endpoint: Endpoint): string {
  return `${endpoint.host} ${endpoint.schemes.join()}`;
}
