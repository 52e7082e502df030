/**
 * A token server as distribution's "Token Authentication" and "OAuth2 Token Authentication" pages describe it: GET with
 * Basic or without credentials, POST with a password or a refresh token. Its tokens open the kit's registry, and with
 * `jwt` also a docker-registry that trusts its certificate.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listen } from "../net/listen.ts";
import { makeCertificate, type Certificate } from "../tls/certificate.ts";
import { parseBasic, type Access, type TokenAuthority } from "./access.ts";
import { readBody } from "../../../src/daemon/distribution/exchange.ts";
import { signToken } from "./json-web-token.ts";
import { RegistryError } from "../../../src/daemon/distribution/registry-error.ts";
import { logRequest, type LoggedRequest } from "./request-log.ts";
import { grantedAccess, parseScopes, type AccessRule } from "./token-scopes.ts";
import { opaqueToken, TokenStore } from "./token-store.ts";

export interface TokenServerOptions {
  readonly users?: Readonly<Record<string, { readonly password: string; readonly access: readonly AccessRule[] }>>;
  /** What may be done without credentials. Default: nothing; such clients still get a token, which opens nothing. */
  readonly anonymous?: readonly AccessRule[];
  /** Default `kit.registry`. */
  readonly service?: string;
  /** Default 300. */
  readonly expiresInSeconds?: number;
  /** `false`: the answer does not tell it, and clients have to assume 60 seconds. */
  readonly tellExpiry?: boolean;
  /** Signed tokens with claims instead of opaque ones. Default false. */
  readonly jwt?: boolean;
  /** Under which name the token comes. Default both. */
  readonly field?: "token" | "access_token" | "both";
  /** Status for every POST, of servers without OAuth2 (404, 405, ACR 400, Artifactory 401). */
  readonly postStatus?: number;
  /** Milliseconds since 1970; lets a test make tokens expire without waiting. Default: the clock. */
  readonly now?: () => number;
}

/** What a client asked for, and whether it got it. */
export interface TokenRequest {
  readonly grant: "anonymous" | "basic" | "password" | "refresh_token";
  readonly account: string | undefined;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly clientId: string | undefined;
  readonly offline: boolean;
  readonly granted: boolean;
}

export interface TokenServer extends TokenAuthority, AsyncDisposable {
  readonly host: string;
  readonly requests: readonly LoggedRequest[];
  readonly grants: readonly TokenRequest[];
  /** `iss` of signed tokens. */
  readonly issuer: string;
  /** What signs tokens under `jwt`; goes into docker-registry's `rootcertbundle`. */
  readonly certificate: Certificate | undefined;
  /** Makes every access token given so far invalid (the kit's registry asks; a docker-registry does not). */
  revokeTokens(): void;
  revokeRefreshTokens(): void;
  /** From now on tokens live this long. */
  setExpiry(seconds: number): void;
  close(): Promise<void>;
}

export async function startTokenServer(options: TokenServerOptions = {}): Promise<TokenServer> {
  const { users = {}, anonymous = [], service = "kit.registry", field = "both", now = Date.now } = options;
  const issuer = "varve test kit";
  const certificate = options.jwt === true ? makeCertificate({ keyType: "rsa", commonName: issuer }) : undefined;
  const store = new TokenStore(now);
  const requests: LoggedRequest[] = [];
  const grants: TokenRequest[] = [];
  let expiresInSeconds = options.expiresInSeconds ?? 300;

  const issue = (account: string | undefined, access: readonly Access[]): string => {
    const claims = { issuer, subject: account ?? "", audience: service, issuedAt: now(), expiresInSeconds, access };
    const token = certificate === undefined ? opaqueToken() : signToken(claims, certificate);
    store.remember(token, access, expiresInSeconds);
    return token;
  };
  const passwordFits = (account: string | undefined, password: string) =>
    account !== undefined && Object.hasOwn(users, account) && users[account]?.password === password;
  const isGranted = ({ grant, password = "" }: Asked, account: string | undefined): boolean => {
    switch (grant) {
      case "anonymous":
        return true;
      case "refresh_token":
        return account !== undefined;
      case "basic":
      case "password":
        return passwordFits(account, password);
    }
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://token");
    if (url.pathname !== "/token") throw new RegistryError(404, "UNSUPPORTED", "only /token is here");
    if (request.method === "POST" && options.postStatus !== undefined) {
      throw new RegistryError(options.postStatus, "UNSUPPORTED", "no OAuth2 here");
    }
    const asked = request.method === "POST" ? await readPost(request) : readGet(request, url.searchParams);
    const account = asked.refreshToken === undefined ? asked.account : store.accountOf(asked.refreshToken);
    const granted = isGranted(asked, account);
    const { grant, clientId, offline, scopes } = asked;
    grants.push({ grant, account, service: asked.service, scopes, clientId, offline, granted });
    if (!granted) throw new RegistryError(401, "UNAUTHORIZED", "wrong credentials");
    const rules = account === undefined ? anonymous : (users[account]?.access ?? []);
    const token = issue(account, grantedAccess(parseScopes(scopes), rules));
    const refresh =
      offline && account !== undefined ? (asked.refreshToken ?? store.newRefreshToken(account)) : undefined;
    const body = JSON.stringify({
      ...(field !== "access_token" && { token }),
      ...(field !== "token" && { access_token: token }),
      ...(options.tellExpiry !== false && { expires_in: expiresInSeconds }),
      issued_at: new Date(now()).toISOString(),
      ...(refresh !== undefined && { refresh_token: refresh }),
    });
    response.writeHead(200, { "content-type": "application/json" }).end(body);
  }

  const server = createServer((request, response) => {
    logRequest(requests, request, response);
    serve(request, response).catch((error: unknown) => {
      const refusal = error instanceof RegistryError ? error : new RegistryError(500, "UNKNOWN", String(error));
      response.writeHead(refusal.status, { "content-type": "application/json" }).end(refusal.body);
    });
  });
  const listening = await listen(server);
  return {
    host: listening.host,
    realm: `http://${listening.host}/token`,
    service,
    issuer,
    certificate,
    requests,
    grants,
    verify: (token) => store.accessOf(token),
    revokeTokens: () => store.revokeAccess(),
    revokeRefreshTokens: () => store.revokeRefresh(),
    setExpiry: (seconds) => {
      expiresInSeconds = seconds;
    },
    close: () => listening.close(),
    [Symbol.asyncDispose]: () => listening.close(),
  };
}

interface Asked extends Omit<TokenRequest, "granted"> {
  readonly password?: string;
  readonly refreshToken?: string;
}

function readGet(request: IncomingMessage, query: URLSearchParams): Asked {
  const basic = parseBasic(request.headers.authorization);
  return {
    grant: basic === undefined ? "anonymous" : "basic",
    account: basic?.username,
    ...(basic !== undefined && { password: basic.password }),
    service: query.get("service") ?? undefined,
    scopes: query.getAll("scope"),
    clientId: query.get("client_id") ?? undefined,
    offline: query.get("offline_token") === "true",
  };
}

async function readPost(request: IncomingMessage): Promise<Asked> {
  const form = new URLSearchParams((await readBody(request, 65_536, "UNSUPPORTED")).toString("utf8"));
  const grant = form.get("grant_type");
  const common = {
    service: form.get("service") ?? undefined,
    scopes: form.getAll("scope"),
    clientId: form.get("client_id") ?? undefined,
    offline: form.get("access_type") === "offline" || grant === "refresh_token",
  };
  if (grant === "password") {
    return { grant, account: form.get("username") ?? undefined, password: form.get("password") ?? "", ...common };
  }
  if (grant === "refresh_token") {
    return { grant, account: undefined, refreshToken: form.get("refresh_token") ?? "", ...common };
  }
  throw new RegistryError(400, "UNSUPPORTED", `unsupported grant_type ${grant}`);
}
