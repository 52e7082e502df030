/** Content digests: `<algorithm>:<hex>`, OCI image-spec "Digests". sha256 and sha512 are known. */
import { createHash, hash, type Hash } from "node:crypto";
import { VarveError } from "../errors/varve-error.ts";

declare const brand: unique symbol;
/** A validated digest. Made only by {@link parseDigest}, {@link digestOf} and {@link Digester}. */
export type Digest = string & { readonly [brand]: "Digest" };
export type DigestAlgorithm = "sha256" | "sha512";

const HEX_LENGTH: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };

/** @throws VarveError `DIGEST_INVALID` */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new VarveError("DIGEST_INVALID", `not a digest: ${JSON.stringify(text.slice(0, 160))}`);
}

export function isDigest(text: unknown): text is Digest {
  if (typeof text !== "string") return false;
  const colon = text.indexOf(":");
  const length = HEX_LENGTH[text.slice(0, colon) as DigestAlgorithm];
  return length !== undefined && text.length === colon + 1 + length && /^[0-9a-f]+$/.test(text.slice(colon + 1));
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(":")) as DigestAlgorithm;
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** The digest of bytes that are already in memory. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest {
  return `${algorithm}:${hash(algorithm, bytes, "hex")}` as Digest;
}

/** Computes a digest over a stream of bytes. */
export class Digester {
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: Hash;
  #size = 0;

  constructor(algorithm: DigestAlgorithm = "sha256") {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(bytes: Uint8Array): this {
    this.#hash.update(bytes);
    this.#size += bytes.length;
    return this;
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size;
  }

  /** Ends the computation; may be called once. */
  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest("hex")}` as Digest;
  }
}
