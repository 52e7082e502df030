/**
 * Tokens from the service that a Bearer challenge names: distribution's "Token Authentication" (GET) and "OAuth2"
 * (POST) specifications.
 */
import { isThrottle, RegistryFailure } from "../transport/failure.ts";
import { contentLength, header, type HttpAnswer, type HttpRequest, type Transport } from "../transport/transport.ts";
import { discard, readBounded, readErrorBody } from "../transport/body.ts";
import { errorText } from "../transport/error-text.ts";
import { networkFailure } from "../transport/network-failure.ts";
import { parseRetryAfter } from "../transport/retry-after.ts";
import { statusFailure } from "../transport/status-failure.ts";
import type { TransportEvent } from "../blob-source.ts";
import type { Clock } from "../clock.ts";
import type { TlsSettings } from "../transport/trust.ts";
import { basic, secretsOf, type Credential } from "../credentials/credential.ts";

const MOST_BYTES = 1024 * 1024;
const CLIENT_ID = "varve";
/** podman's floor for `expires_in`, which many services leave out. */
const SHORTEST_LIFE_MS = 60_000;
/** What POST gets from services that know only GET: ACR, Artifactory, GCR, and plain distribution. */
const TRY_GET = new Set([400, 401, 404, 405]);

export interface TokenAsk {
  /** `host[:port]` of the registry, for messages. */
  readonly registry: string;
  /** Its account's name for hints: `varve login <account>`. */
  readonly account: string;
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly tls: TlsSettings;
  readonly connectMs: number;
  /** Whether the registry itself is spoken to in clear text. */
  readonly plain: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TransportEvent) => void) | undefined;
}

export interface Token {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export class TokenService {
  readonly #transport: Transport;
  readonly #clock: Clock;
  /** Realms that were found to know only GET. */
  readonly #getOnly = new Set<string>();

  constructor(transport: Transport, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
  }

  /** @throws VarveError `UNAUTHORIZED` when the service refuses the credential or demands one; `REGISTRY_*`. */
  async fetch(ask: TokenAsk): Promise<Token> {
    if (ask.credential !== undefined && ask.realm.protocol === "http:" && !ask.plain) {
      throw new RegistryFailure(
        "REGISTRY_PROTOCOL",
        `${ask.registry} wants its credentials sent in clear text to ${ask.realm.host}`,
        { hint: "this registry's token service must have https", detail: { host: ask.realm.host } },
      );
    }
    const now = this.#clock.now();
    const answer = await this.#answer(ask);
    const body = await this.#body(answer, ask);
    if (answer.status !== 200) throw this.#refusal(answer, body.toString("utf8"), ask);
    return parseToken(body, ask, now);
  }

  async #answer(ask: TokenAsk): Promise<HttpAnswer> {
    const { credential, realm } = ask;
    const form = credential === undefined ? undefined : grant(credential, ask);
    const canGet = credential?.kind !== "identity-token";
    if (form === undefined || (canGet && this.#getOnly.has(realm.href))) return await this.#get(ask);
    const posted = await this.#post(ask, form);
    if (!canGet || !TRY_GET.has(posted.status)) return posted;
    await discard(posted.body, contentLength(posted.headers));
    const got = await this.#get(ask);
    if (got.status === 200) this.#getOnly.add(realm.href);
    return got;
  }

  async #get(ask: TokenAsk): Promise<HttpAnswer> {
    const url = new URL(ask.realm);
    if (ask.service !== undefined) url.searchParams.set("service", ask.service);
    for (const scope of ask.scopes) url.searchParams.append("scope", scope);
    const originHeaders: Record<string, string> = {};
    if (ask.credential?.kind === "password") {
      url.searchParams.set("account", ask.credential.username);
      originHeaders["authorization"] = basic(ask.credential);
    }
    return await this.#transport.send({ ...this.#common(ask), method: "GET", url, originHeaders });
  }

  async #post(ask: TokenAsk, form: URLSearchParams): Promise<HttpAnswer> {
    const common = this.#common(ask);
    const headers = { ...common.headers, "content-type": "application/x-www-form-urlencoded" };
    return await this.#transport.send({ ...common, method: "POST", url: ask.realm, headers, body: form.toString() });
  }

  #common(ask: TokenAsk): Omit<HttpRequest, "url" | "method"> {
    const { tls, connectMs, signal, onEvent } = ask;
    return { headers: { accept: "application/json" }, tls, connectMs, doing: doing(ask), signal, onEvent };
  }

  async #body(answer: HttpAnswer, ask: TokenAsk): Promise<Buffer> {
    if (answer.status !== 200) return Buffer.from(await readErrorBody(answer.body));
    let body: Buffer | undefined;
    try {
      body = await readBounded(answer.body, MOST_BYTES);
    } catch (error) {
      throw networkFailure(error, answer.url.host, doing(ask), ask.signal);
    }
    if (body === undefined) throw broken(ask, `more than ${MOST_BYTES} bytes`);
    return body;
  }

  #refusal(answer: HttpAnswer, body: string, ask: TokenAsk): RegistryFailure {
    const secrets = secretsOf(ask.credential);
    const { credential, account } = ask;
    const hint =
      credential === undefined
        ? `log in with: varve login ${account}`
        : `the credentials for ${account} were refused; log in again with: varve login ${account}`;
    const failure = {
      host: answer.url.host,
      subject: doing(ask),
      status: answer.status,
      text: errorText(body, secrets),
      retryAfterMs: parseRetryAfter(header(answer.headers, "retry-after"), this.#clock.now()),
      missing: "REGISTRY_PROTOCOL",
    } as const;
    // With a credential, 400 is how OAuth 2 says that the grant is invalid (RFC 6749 §5.2).
    if (answer.status === 401 || (answer.status === 400 && credential !== undefined)) {
      return statusFailure({ ...failure, status: 401, hint });
    }
    const refusal = statusFailure(answer.status === 403 ? { ...failure, hint } : failure);
    if (isThrottle(refusal)) answer.admission.throttled();
    return refusal;
  }
}

function grant(credential: Credential, ask: TokenAsk): URLSearchParams | undefined {
  if (credential.kind === "registry-token") return undefined;
  const form = new URLSearchParams(
    credential.kind === "identity-token"
      ? { grant_type: "refresh_token", refresh_token: credential.token }
      : { grant_type: "password", username: credential.username, password: credential.password },
  );
  if (ask.service !== undefined) form.set("service", ask.service);
  form.set("client_id", CLIENT_ID);
  if (ask.scopes.length > 0) form.set("scope", ask.scopes.join(" "));
  return form;
}

function parseToken(body: Buffer, ask: TokenAsk, now: number): Token {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    throw broken(ask, "not JSON");
  }
  if (typeof parsed !== "object" || parsed === null) throw broken(ask, "not a JSON object");
  const { token, access_token: accessToken, expires_in: expiresIn } = parsed as Record<string, unknown>;
  const value = typeof token === "string" && token !== "" ? token : accessToken;
  // It goes into a header, so nothing but visible ASCII may be in it.
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) throw broken(ask, "no usable token");
  const seconds = typeof expiresIn === "number" && Number.isFinite(expiresIn) ? expiresIn : 0;
  const life = Math.min(Math.max(seconds * 1000, SHORTEST_LIFE_MS), 24 * 3600_000);
  return { value, expiresAt: now + life };
}

function broken(ask: TokenAsk, what: string): RegistryFailure {
  return new RegistryFailure("REGISTRY_PROTOCOL", `${doing(ask)}: ${ask.realm.host} answered with ${what}`, {
    detail: { host: ask.realm.host },
  });
}

function doing(ask: TokenAsk): string {
  return `token for ${ask.registry}`;
}
