/**
 * Leases keep content from being removed while an operation that no image shows yet needs it. A lease is taken before its
 * content is looked for and released after the image is recorded; one whose process died ends when it expires.
 */
import { randomUUID } from "node:crypto";
import type { Digest } from "../oci/digest.ts";
import type { Connection } from "./connection.ts";
import type { Metadata } from "./database.ts";

const DEFAULT_TTL_MS = 24 * 60 * 60 * 1000;

export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** Protects these digests, present or yet to come, until the lease ends. One that has expired begins anew with them. */
  add(...digests: readonly Digest[]): Promise<void>;
  /** Moves the expiry to `ttlMs` (default 24 h) from now. */
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
    const id = randomUUID();
    connection.transaction(() => {
      connection.run("DELETE FROM leases WHERE expires_at <= ?", this.#now());
      this.#renew(connection, id, ttlMs);
    });
    let released = false;
    const release = async (): Promise<void> => {
      if (released) return;
      released = true;
      (await this.#metadata.writable()).run("DELETE FROM leases WHERE id = ?", id);
    };
    return {
      id,
      add: (...digests) => this.#add(id, ttlMs, digests),
      extend: async (ttl = DEFAULT_TTL_MS) => this.#renew(await this.#metadata.writable(), id, ttl),
      release,
      [Symbol.asyncDispose]: release,
    };
  }

  async isLeased(digest: Digest): Promise<boolean> {
    const connection = await this.#metadata.readable();
    return connection?.get(LEASED, digest, this.#now()) !== undefined;
  }

  async #add(id: string, ttlMs: number, digests: readonly Digest[]): Promise<void> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      if (connection.get("SELECT 1 FROM leases WHERE id = ?", id) === undefined) this.#renew(connection, id, ttlMs);
      for (const digest of digests) {
        connection.run("INSERT OR IGNORE INTO lease_resources (digest, lease_id) VALUES (?, ?)", digest, id);
      }
    });
  }

  #renew(connection: Connection, id: string, ttlMs: number): void {
    const now = this.#now();
    connection.run(RENEW, id, now, now + ttlMs);
  }
}

const RENEW = `
  INSERT INTO leases (id, created_at, expires_at) VALUES (?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`;

const LEASED = `
  SELECT 1 FROM lease_resources JOIN leases ON leases.id = lease_resources.lease_id
  WHERE lease_resources.digest = ? AND leases.expires_at > ? LIMIT 1`;
