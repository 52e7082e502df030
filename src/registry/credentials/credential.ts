/** What an account is known by. Never put into errors, events or logs. */
export type Credential =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** A refresh token, for the token service. */
  | { readonly kind: "identity-token"; readonly token: string }
  /** Ready to be sent to the registry as Bearer. */
  | { readonly kind: "registry-token"; readonly token: string };

/** The strings that must not show up in any text about this credential. */
export function secretsOf(credential: Credential | undefined): string[] {
  if (credential === undefined) return [];
  if (credential.kind !== "password") return [credential.token];
  return [credential.password, encodeURIComponent(credential.password), basic(credential).slice("Basic ".length)];
}

/** The value of an `Authorization` header, RFC 7617. */
export function basic(credential: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`, "utf8").toString("base64")}`;
}
