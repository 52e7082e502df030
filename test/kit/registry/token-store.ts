/** The tokens that a token server gave out: who got which access, until when, and whether it was taken back. */
import { randomBytes } from "node:crypto";
import type { Access } from "./access.ts";

interface Issued {
  readonly access: readonly Access[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export class TokenStore {
  readonly #now: () => number;
  readonly #access = new Map<string, Issued>();
  readonly #refresh = new Map<string, string>();

  constructor(now: () => number) {
    this.#now = now;
  }

  remember(token: string, access: readonly Access[], expiresInSeconds: number): void {
    this.#access.set(token, { access, expiresAt: this.#now() + expiresInSeconds * 1000 });
  }

  /** Undefined when unknown, expired or revoked. */
  accessOf(token: string): readonly Access[] | undefined {
    const issued = this.#access.get(token);
    return issued !== undefined && issued.expiresAt > this.#now() ? issued.access : undefined;
  }

  newRefreshToken(account: string): string {
    const token = `refresh-${randomBytes(18).toString("base64url")}`;
    this.#refresh.set(token, account);
    return token;
  }

  accountOf(refreshToken: string): string | undefined {
    return this.#refresh.get(refreshToken);
  }

  revokeAccess(): void {
    this.#access.clear();
  }

  revokeRefresh(): void {
    this.#refresh.clear();
  }
}

/** An opaque access token. */
export function opaqueToken(): string {
  return `opaque-${randomBytes(24).toString("base64url")}`;
}
