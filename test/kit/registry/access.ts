/** Who may do what: Basic users, or tokens of a token server. distribution-spec leaves it to RFC 7235 and the token docs. */
import type { IncomingMessage } from "node:http";
import { RegistryError } from "../../../src/daemon/distribution/registry-error.ts";

/** `repository:<name>:<actions>` of a token's scope, taken apart. */
export interface Access {
  readonly name: string;
  readonly actions: readonly string[];
}

/** What the registry asks of a token server: how to send clients there, and what a token allows. */
export interface TokenAuthority {
  readonly realm: string;
  readonly service: string;
  /** The access that a token grants, or undefined when it is unknown, expired or revoked. */
  verify(token: string): readonly Access[] | undefined;
}

export type RegistryAuth =
  | { readonly kind: "basic"; readonly users: Readonly<Record<string, string>> }
  | { readonly kind: "token"; readonly authority: TokenAuthority };

/** @throws RegistryError 401 with the challenge that tells the client what to bring */
export function authorize(auth: RegistryAuth | undefined, request: IncomingMessage, needed: readonly Access[]): void {
  switch (auth?.kind) {
    case undefined:
      return;
    case "basic":
      if (basicUserKnown(auth.users, request.headers.authorization)) return;
      throw unauthorized('Basic realm="kit"');
    case "token":
      return authorizeToken(auth.authority, request, needed);
  }
}

function authorizeToken(authority: TokenAuthority, request: IncomingMessage, needed: readonly Access[]): void {
  const scopes = needed.map(({ name, actions }) => `repository:${name}:${actions.join(",")}`);
  const scope = scopes.length === 0 ? "" : `,scope="${scopes.join(" ")}"`;
  const challenge = `Bearer realm="${authority.realm}",service="${authority.service}"${scope}`;
  const [, token] = /^bearer (.+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (token === undefined) throw unauthorized(challenge);
  const granted = authority.verify(token);
  if (granted === undefined) throw unauthorized(`${challenge},error="invalid_token"`);
  const allows = ({ name, actions }: Access) =>
    actions.every((action) =>
      granted.some(
        (access) => access.name === name && (access.actions.includes(action) || access.actions.includes("*")),
      ),
    );
  if (!needed.every(allows)) throw unauthorized(`${challenge},error="insufficient_scope"`);
}

/** True when an `Authorization: Basic` header names a user with its password. */
export function basicUserKnown(users: Readonly<Record<string, string>>, header: string | undefined): boolean {
  const credentials = parseBasic(header);
  return credentials !== undefined && users[credentials.username] === credentials.password;
}

export function parseBasic(header: string | undefined): { username: string; password: string } | undefined {
  const [, encoded] = /^basic (.+)$/i.exec(header ?? "") ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function unauthorized(challenge: string): RegistryError {
  return new RegistryError(401, "UNAUTHORIZED", "authentication required", { "www-authenticate": challenge });
}
