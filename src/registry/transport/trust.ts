/** Whom a connection trusts and as whom it presents itself. Extra authorities are added to the system's, never instead. */
import { readFile } from "node:fs/promises";
import type { SecureContext } from "node:tls";
import { VarveError } from "../../errors/varve-error.ts";
import { builtinTls } from "./builtin.ts";

export interface TlsSettings {
  /** False accepts any certificate. */
  readonly verify: boolean;
  /** True when `verify: false` was meant for every host, redirect targets included. */
  readonly insecureEverywhere: boolean;
  /** PEM texts of further authorities. */
  readonly authorities: readonly string[];
  /** PEM texts of the client's certificates and keys, in the same order. */
  readonly client: readonly { readonly cert: string; readonly key: string }[];
}

export const DEFAULT_TLS: TlsSettings = { verify: true, insecureEverywhere: false, authorities: [], client: [] };

/** The settings for another host that this one sent us to: never the client's certificate. */
export function tlsElsewhere(tls: TlsSettings): TlsSettings {
  return { ...tls, client: [], verify: tls.verify || !tls.insecureEverywhere };
}

export async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? "unreadable";
    throw new VarveError("CONFIGURATION_INVALID", `the certificate file ${path} cannot be read: ${reason}`, { cause });
  }
}

/** Certificates of authorities. OpenSSL passes over what is none, and would then trust nobody new without a word. */
export async function readAuthorities(path: string): Promise<string> {
  const text = await readPem(path);
  if (/-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(text)) return text;
  throw new VarveError("CONFIGURATION_INVALID", `${path} holds no certificate in PEM`);
}

const identities = new WeakMap<TlsSettings, string>();

/** The same text for settings that make the same connections. */
export function tlsIdentity(tls: TlsSettings): string {
  let id = identities.get(tls);
  if (id === undefined) {
    id = JSON.stringify([tls.verify, tls.authorities, tls.client.map((pair) => [pair.cert, pair.key])]);
    identities.set(tls, id);
  }
  return id;
}

let roots: string[] | undefined;

/** Node's own list and the system's, because an organisation's authority is usually installed only in the latter. */
function systemAuthorities(): string[] {
  const { getCACertificates } = builtinTls();
  roots ??= [...new Set([...getCACertificates("default"), ...getCACertificates("system")])];
  return roots;
}

/** @throws VarveError `CONFIGURATION_INVALID` when a certificate or key is not PEM, or the two do not belong together. */
export function secureContextOf(tls: TlsSettings): SecureContext {
  const identity =
    tls.client.length === 0
      ? {}
      : { cert: tls.client.map((pair) => pair.cert), key: tls.client.map((pair) => pair.key) };
  // Without verification the roots, some 200 certificates to parse, would serve nothing.
  const trust = tls.verify ? { ca: [...systemAuthorities(), ...tls.authorities] } : {};
  try {
    return builtinTls().createSecureContext({ ...trust, ...identity });
  } catch (cause) {
    throw new VarveError("CONFIGURATION_INVALID", `the certificates or keys given cannot be used: ${reason(cause)}`, {
      cause,
      hint: "authorities, certificates and keys must be PEM files, and a key must belong to its certificate",
    });
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
