/** RS256 tokens with the claims and the `x5c` header that distribution's token authentication checks. */
import { randomUUID, sign } from "node:crypto";
import type { Certificate } from "../tls/certificate.ts";
import type { Access } from "./access.ts";

export interface TokenClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  readonly expiresInSeconds: number;
  readonly access: readonly Access[];
}

export function signToken(claims: TokenClaims, certificate: Certificate): string {
  const iat = Math.floor(claims.issuedAt / 1000);
  const header = { typ: "JWT", alg: "RS256", x5c: [certificate.der.toString("base64")] };
  const payload = {
    iss: claims.issuer,
    sub: claims.subject,
    aud: claims.audience,
    iat,
    nbf: iat - 1,
    exp: iat + claims.expiresInSeconds,
    jti: randomUUID(),
    access: claims.access.map(({ name, actions }) => ({ type: "repository", name, actions })),
  };
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), certificate.privateKey).toString("base64url")}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
