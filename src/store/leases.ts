/**
 * Leases keep content from being removed while an operation that no image shows yet needs it. A lease is taken before its
 * content is looked for and released after the image is recorded; one whose process died ends when it expires.
 */
import { randomUUID } from "node:crypto";
import type { Digest } from "../oci/digest.ts";
import type { Metadata } from "./database.ts";

const DEFAULT_TTL_MS = 24 * 60 * 60 * 1000;

export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** Protects these digests, present or yet to come, until the lease ends. */
  add(...digests: readonly Digest[]): Promise<void>;
  /** Moves the expiry to `ttlMs` (default 24 h) from now; the lease comes back if it had expired but not been swept. */
  extend(ttlMs?: number): Promise<void>;
  /** Ends it; ending it again does nothing. Also done when it is disposed. */
  release(): Promise<void>;
}

export class Leases {
  readonly #metadata: Metadata;
  readonly #now: () => number;

  constructor(metadata: Metadata, now: () => number) {
    this.#metadata = metadata;
    this.#now = now;
  }

  /** A new lease for `ttlMs` milliseconds, 24 hours unless told. Sweeps those that expired. */
  async create(ttlMs: number = DEFAULT_TTL_MS): Promise<Lease> {
    const connection = await this.#metadata.writable();
    const now = this.#now();
    const id = randomUUID();
    connection.transaction(() => {
      connection.run("DELETE FROM leases WHERE expires_at <= ?", now);
      connection.run("INSERT INTO leases (id, created_at, expires_at) VALUES (?, ?, ?)", id, now, now + ttlMs);
    });
    let released = false;
    const release = async (): Promise<void> => {
      if (released) return;
      released = true;
      (await this.#metadata.writable()).run("DELETE FROM leases WHERE id = ?", id);
    };
    return {
      id,
      add: (...digests) => this.#add(id, digests),
      extend: async (ttl = DEFAULT_TTL_MS) => {
        (await this.#metadata.writable()).run("UPDATE leases SET expires_at = ? WHERE id = ?", this.#now() + ttl, id);
      },
      release,
      [Symbol.asyncDispose]: release,
    };
  }

  async isLeased(digest: Digest): Promise<boolean> {
    const connection = await this.#metadata.readable();
    return connection?.get(LEASED, digest, this.#now()) !== undefined;
  }

  async #add(id: string, digests: readonly Digest[]): Promise<void> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      for (const digest of digests) {
        connection.run("INSERT OR IGNORE INTO lease_resources (digest, lease_id) VALUES (?, ?)", digest, id);
      }
    });
  }
}

const LEASED = `
  SELECT 1 FROM lease_resources JOIN leases ON leases.id = lease_resources.lease_id
  WHERE lease_resources.digest = ? AND leases.expires_at > ? LIMIT 1`;
