/** X.509 certificates (RFC 5280) made at run time, so that no key is ever kept in the repository. */
import { createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { isIP } from "node:net";
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  nothing,
  octetString,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from "./der.ts";

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly der: Buffer;
  readonly commonName: string;
  readonly privateKey: KeyObject;
}

export interface CertificateOptions {
  /** Default `varve test kit`. */
  readonly commonName?: string;
  /** Subject alternative names. Default `127.0.0.1` and `localhost`. */
  readonly names?: readonly string[];
  /** Who signs. Default: itself, which makes it a root to be trusted by itself. */
  readonly issuer?: Certificate;
  /** RS256 needs `rsa`, which takes longer to make. Default `ec` (P-256). */
  readonly keyType?: "ec" | "rsa";
  /** Default: an hour ago. */
  readonly notBefore?: Date;
  /** Default: in a day. */
  readonly notAfter?: Date;
}

const HOUR = 3_600_000;
const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const RSA_SHA256 = sequence(oid("1.2.840.113549.1.1.11"), nothing());

export function makeCertificate(options: CertificateOptions = {}): Certificate {
  const { commonName = "varve test kit", names = ["127.0.0.1", "localhost"], issuer, keyType = "ec" } = options;
  const { notBefore = new Date(Date.now() - HOUR), notAfter = new Date(Date.now() + 24 * HOUR) } = options;
  const { privateKey } =
    keyType === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signer = issuer?.privateKey ?? privateKey;
  const algorithm = signer.asymmetricKeyType === "rsa" ? RSA_SHA256 : ECDSA_SHA256;
  const version3 = explicit(0, integer(Buffer.from([2])));
  const body = sequence(
    version3,
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    nameOf(issuer?.commonName ?? commonName),
    sequence(time(notBefore), time(notAfter)),
    nameOf(commonName),
    createPublicKey(privateKey).export({ type: "spki", format: "der" }),
    explicit(3, sequence(basicConstraints(issuer === undefined), alternativeNames(names))),
  );
  const der = sequence(body, algorithm, bitString(sign("sha256", body, signer)));
  const key = privateKey.export({ type: "pkcs8", format: "pem" });
  return { cert: pem(der), key, der, commonName, privateKey };
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(oid("2.5.4.3"), utf8String(commonName))));
}

function basicConstraints(authority: boolean): Buffer {
  const value = authority ? sequence(boolean(true)) : sequence();
  return sequence(oid("2.5.29.19"), boolean(true), octetString(value));
}

function alternativeNames(names: readonly string[]): Buffer {
  const items = names.map((name) =>
    isIP(name) === 4 ? implicit(7, Buffer.from(name.split(".").map(Number))) : implicit(2, Buffer.from(name)),
  );
  return sequence(oid("2.5.29.17"), octetString(sequence(...items)));
}

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
