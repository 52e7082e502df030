/**
 * Which `Authorization` goes with a request: learned from challenges, kept per host, and renewed when it expires.
 */
import type { TransportEvent } from "../blob-source.ts";
import type { Clock } from "../clock.ts";
import type { Endpoint } from "../endpoint.ts";
import { basic, secretsOf, type Credential } from "../credentials/credential.ts";
import { tlsElsewhere } from "../transport/trust.ts";
import { untilAborted } from "../until-aborted.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import { mergeScopes, pullScope, pushScope, splitScopes, withoutScopes } from "./scope.ts";
import type { Token, TokenAsk } from "./token-service.ts";

/** Where credentials come from; `fresh` asks for them anew, not from a cache. */
export interface Credentials {
  find(endpoint: Endpoint, options?: { fresh?: boolean }): Promise<Credential | undefined>;
}

/** Where tokens come from. */
export interface Tokens {
  fetch(ask: TokenAsk): Promise<Token>;
}

export interface AuthContext {
  readonly endpoint: Endpoint;
  /** Whether the endpoint is spoken to in clear text. */
  readonly plain: boolean;
  /** False for requests that concern no repository, such as a ping. */
  readonly repository: boolean;
  /** The request writes. Default: false. */
  readonly push?: boolean | undefined;
  /** For this request only: what it needs beside the repository itself. */
  readonly extraScopes?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TransportEvent) => void) | undefined;
}

/** What a request was sent with, so that a refusal of it can be judged. */
export interface Authorization {
  readonly header: string;
  readonly scopes: readonly string[];
  /** Made for this very request: when it is refused, another one would be too. */
  readonly fresh: boolean;
  /** No account stands behind it. */
  readonly anonymous: boolean;
  /** What must not show up in any text. */
  readonly secrets: readonly string[];
}

interface HostState {
  scheme: "basic" | "bearer";
  realm?: URL;
  service?: string;
  /** By repository: what its challenges asked for. */
  readonly scopes: Map<string, readonly string[]>;
}

/** Bounds both caches; a client that reads from more repositories than this just asks again. */
const MOST_ENTRIES = 1000;

export class Authorizer {
  readonly #tokens: Tokens;
  readonly #credentials: Credentials;
  readonly #clock: Clock;
  readonly #hosts = new Map<string, HostState>();
  readonly #cache = new Map<string, Token>();
  readonly #inFlight = new Map<string, Promise<Token>>();

  constructor(tokens: Tokens, credentials: Credentials, clock: Clock) {
    this.#tokens = tokens;
    this.#credentials = credentials;
    this.#clock = clock;
  }

  /** What to send at once, from what earlier challenges taught; undefined when nothing is known yet. */
  async ready(context: AuthContext): Promise<Authorization | undefined> {
    const state = this.#hosts.get(context.endpoint.host);
    if (state === undefined) return undefined;
    const credential = await this.#find(context);
    if (state.scheme === "basic") {
      return credential?.kind === "password" ? withCredential(basic(credential), [], credential) : undefined;
    }
    const known = state.scopes.get(this.#repositoryKey(context));
    // Another repository's scopes are not known before its own challenge, unless they are the usual ones.
    const scopes = mergeScopes(known ?? hinted(context), needed(context));
    return await this.#bearer(context, state, scopes, credential, undefined);
  }

  /** What to send after a 401, or undefined when nothing better is to be had. */
  async answer(
    context: AuthContext,
    challengeHeader: string | readonly string[] | undefined,
    refused: Authorization | undefined,
  ): Promise<Authorization | undefined> {
    const challenges = parseChallenges(challengeHeader);
    const bearer = challenges.find((challenge) => challenge.scheme === "bearer" && realmOf(challenge) !== undefined);
    if (bearer !== undefined) return await this.#answerBearer(context, bearer, refused);
    if (challenges.some((challenge) => challenge.scheme === "basic")) return await this.#answerBasic(context, refused);
    return undefined;
  }

  async #answerBasic(context: AuthContext, refused: Authorization | undefined): Promise<Authorization | undefined> {
    const { endpoint } = context;
    // A password may be a short-lived one from a helper: ask for it again when the one we had is refused.
    const credential = await this.#find(context, { fresh: refused !== undefined });
    if (credential?.kind !== "password") return undefined;
    const header = basic(credential);
    if (header === refused?.header) return undefined;
    this.#hosts.set(endpoint.host, { scheme: "basic", scopes: new Map() });
    return { ...withCredential(header, [], credential), fresh: true };
  }

  async #answerBearer(
    context: AuthContext,
    challenge: Challenge,
    refused: Authorization | undefined,
  ): Promise<Authorization | undefined> {
    const state = this.#learn(context, challenge);
    const key = this.#repositoryKey(context);
    const asked = splitScopes(challenge.parameters.get("scope"));
    // A mirror under a path has names of its own; there only the challenge knows the scope.
    const hints = asked.length > 0 && context.endpoint.prefix !== "/v2" ? [] : [...hinted(context), ...needed(context)];
    const known = mergeScopes(state.scopes.get(key) ?? hints, asked, refused?.scopes ?? []);
    const { extraScopes = [] } = context;
    remember(state.scopes, key, withoutScopes(known, extraScopes));
    const scopes = mergeScopes(known, extraScopes);
    if (refused?.fresh === true && sameScopes(refused.scopes, scopes)) return undefined;
    const credential = await this.#find(context);
    const next = await this.#bearer(context, state, scopes, credential, refused);
    return next.header === refused?.header ? undefined : { ...next, fresh: true };
  }

  #learn(context: AuthContext, challenge: Challenge): HostState {
    const { host } = context.endpoint;
    const realm = realmOf(challenge);
    const service = challenge.parameters.get("service");
    const known = this.#hosts.get(host);
    const same = known?.scheme === "bearer" && known.realm?.href === realm?.href && known.service === service;
    if (same && known !== undefined) return known;
    const state: HostState = {
      scheme: "bearer",
      scopes: new Map(),
      ...(realm === undefined ? {} : { realm }),
      ...(service === undefined ? {} : { service }),
    };
    remember(this.#hosts, host, state);
    return state;
  }

  async #bearer(
    context: AuthContext,
    state: HostState,
    scopes: readonly string[],
    credential: Credential | undefined,
    refused: Authorization | undefined,
  ): Promise<Authorization> {
    if (credential?.kind === "registry-token") return withCredential(`Bearer ${credential.token}`, scopes, credential);
    const { endpoint, plain, signal, onEvent } = context;
    const realm = state.realm as URL;
    const ask: TokenAsk = {
      registry: endpoint.host,
      account: endpoint.credentialHost,
      realm,
      service: state.service,
      scopes,
      credential,
      tls: realm.host === endpoint.host ? endpoint.tls : tlsElsewhere(endpoint.tls),
      connectMs: endpoint.connectMs,
      plain,
      signal,
      onEvent,
    };
    const token = await this.#token(ask, endpoint, refused?.header);
    return withCredential(`Bearer ${token.value}`, scopes, credential);
  }

  /** From the cache unless it is old or was just refused; one request at a time for each key. */
  async #token(ask: TokenAsk, endpoint: Endpoint, refused: string | undefined): Promise<Token> {
    const key = [endpoint.host, endpoint.credentialHost, ask.realm.href, ask.service ?? "", ...ask.scopes].join("\n");
    const cached = this.#cache.get(key);
    if (cached !== undefined && `Bearer ${cached.value}` !== refused && this.#lives(cached)) return cached;
    const waiting = this.#inFlight.get(key);
    if (waiting !== undefined) return await untilAborted(waiting, ask.signal);
    // Others may come to wait for it, so one caller's abort must not end it for all.
    const { signal: own, ...shared } = ask;
    const started = this.#tokens
      .fetch(shared)
      .then((token) => {
        remember(this.#cache, key, token);
        return token;
      })
      .finally(() => this.#inFlight.delete(key));
    this.#inFlight.set(key, started);
    return await untilAborted(started, own);
  }

  /** A helper program may be waiting for somebody's finger; who does not want the answer any more need not wait as well. */
  async #find({ endpoint, signal }: AuthContext, options?: { fresh: boolean }): Promise<Credential | undefined> {
    return await untilAborted(this.#credentials.find(endpoint, options), signal);
  }

  #lives(token: Token): boolean {
    // A little early, so that it does not expire on the way.
    return this.#clock.now() < token.expiresAt - 5000;
  }

  #repositoryKey(context: AuthContext): string {
    return context.repository ? context.endpoint.repository : "";
  }
}

function withCredential(header: string, scopes: readonly string[], credential: Credential | undefined): Authorization {
  const secrets = [header.slice(header.indexOf(" ") + 1), ...secretsOf(credential)];
  return { header, scopes, fresh: false, anonymous: credential === undefined, secrets };
}

function hinted(context: AuthContext): string[] {
  return context.repository ? [pullScope(context.endpoint.repository)] : [];
}

/** What the request cannot do without, whatever earlier ones could. */
function needed({ push = false, endpoint, extraScopes = [] }: AuthContext): string[] {
  // A mirror under a path has names of its own; there only the challenge knows the scope.
  return push && endpoint.prefix === "/v2" ? [pushScope(endpoint.repository), ...extraScopes] : [];
}

function realmOf(challenge: Challenge): URL | undefined {
  const text = challenge.parameters.get("realm");
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return undefined;
  url.username = "";
  url.password = "";
  url.hash = "";
  return url;
}

function sameScopes(a: readonly string[], b: readonly string[]): boolean {
  return mergeScopes(a).join("\n") === mergeScopes(b).join("\n");
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MOST_ENTRIES) map.delete(map.keys().next().value as K);
}
