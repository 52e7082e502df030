/**
 * Leases keep content from being removed while an operation that no image shows yet needs it. A lease is taken before its
 * content is looked for and released after the image is recorded. A process holds a lock for each of its leases, so that those of
 * the dead can be told: they end when they expire, so that trying again finds what was there, or when whoever cleans up says so.
 */
import { randomUUID } from "node:crypto";
import type { Digest } from "../oci/digest.ts";
import type { Connection } from "./connection.ts";
import type { Metadata } from "./database.ts";
import type { StoreLocks } from "./locks.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_TTL_MS = DAY_MS;
/** Leases of a process that lives are renewed when so much of their time is over, and not more often than this. */
const RENEW_AFTER = 1 / 4;
const RENEW_MS = 60_000;
/** As long as partial blobs are kept: what an operation left when it was cut off stays as one. */
const UNFINISHED_TTL_MS = 7 * DAY_MS;
/** The id of what an unfinished operation left begins like this and ends in the name it was for. */
const UNFINISHED = "unfinished:";

export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** Protects these digests, present or yet to come, until the lease ends. One that has expired begins anew with them. */
  add(...digests: readonly Digest[]): Promise<void>;
  /** Protects them no more. */
  drop(...digests: readonly Digest[]): Promise<void>;
  /** Moves the expiry to `ttlMs` (default 24 h) from now. */
  extend(ttlMs?: number): Promise<void>;
  /**
   * Ends it, but keeps what it protects for a week, as the unfinished business of `name`: whoever tries again finds it. It takes the
   * place of what an earlier try left, and ends early by {@link Leases.finish}.
   */
  leave(name: string): Promise<void>;
  /** Ends it; ending it again does nothing. Also done when it is disposed. */
  release(): Promise<void>;
}

export class Leases {
  readonly #metadata: Metadata;
  readonly #locks: StoreLocks;
  readonly #now: () => number;

  constructor(metadata: Metadata, locks: StoreLocks, now: () => number) {
    this.#metadata = metadata;
    this.#locks = locks;
    this.#now = now;
  }

  /**
   * A new lease for `ttlMs` milliseconds, 24 hours unless told, which is renewed as long as this process lives. Sweeps those that
   * expired.
   */
  async create(ttlMs: number = DEFAULT_TTL_MS): Promise<Lease> {
    const connection = await this.#metadata.writable();
    const id = randomUUID();
    // Held before there is anything to be seen: a lease without it is taken for one of the dead.
    using starting = new DisposableStack();
    const alive = starting.adopt(this.#locks.lease(id), (lock) => lock.unlock({ remove: true }));
    connection.transaction(() => {
      connection.run("DELETE FROM leases WHERE expires_at <= ?", this.#now());
      this.#renew(connection, id, ttlMs);
    });
    starting.move();
    const held = new Set<Digest>();
    // Failing to renew is no reason to stop what it is for; the next time may be luckier.
    const renew = (): void => void this.#hold(id, ttlMs, held).catch(() => {});
    const renewal = setInterval(renew, Math.max(ttlMs * RENEW_AFTER, RENEW_MS)).unref();
    let released = false;
    const end = async (work: (connection: Connection) => unknown): Promise<void> => {
      if (released) return;
      released = true;
      clearInterval(renewal);
      try {
        work(await this.#metadata.writable());
      } finally {
        alive.unlock({ remove: true });
      }
    };
    const release = (): Promise<void> => end((connection) => connection.run("DELETE FROM leases WHERE id = ?", id));
    return {
      id,
      leave: (name) => end((connection) => this.#leave(connection, id, UNFINISHED + name)),
      add: async (...digests) => {
        for (const digest of digests) held.add(digest);
        await this.#add(id, ttlMs, digests);
      },
      drop: async (...digests) => {
        const connection = await this.#metadata.writable();
        for (const digest of digests) {
          held.delete(digest);
          connection.run("DELETE FROM lease_resources WHERE digest = ? AND lease_id = ?", digest, id);
        }
      },
      extend: async (ttl = DEFAULT_TTL_MS) => this.#renew(await this.#metadata.writable(), id, ttl),
      release,
      [Symbol.asyncDispose]: release,
    };
  }

  /** Ends the protection of what unfinished operations for `name` have left: it was finished, or nobody wants it any more. */
  async finish(...names: readonly string[]): Promise<void> {
    const connection = await this.#metadata.writable();
    for (const name of names) {
      if (connection.get("SELECT 1 FROM leases WHERE id = ?", UNFINISHED + name) === undefined) continue;
      connection.run("DELETE FROM leases WHERE id = ?", UNFINISHED + name);
    }
  }

  /** How many leases {@link sweep} would end. */
  async ended(unfinishedMs?: number): Promise<number> {
    const connection = await this.#metadata.readable();
    if (connection === undefined) return 0;
    const row = connection.get(`SELECT count(*) AS n FROM leases WHERE ${ENDED}`, ...this.#limits(unfinishedMs));
    return Number(row?.["n"] ?? 0) + this.#dead(connection, unfinishedMs).length;
  }

  /**
   * Ends those that have expired, and what operations left unfinished more than `unfinishedMs` ago (default: a week), also those that
   * were killed.
   * @returns how many there were
   */
  async sweep(unfinishedMs?: number): Promise<number> {
    if ((await this.ended(unfinishedMs)) === 0) return 0;
    const connection = await this.#metadata.writable();
    let count = connection.run(`DELETE FROM leases WHERE ${ENDED}`, ...this.#limits(unfinishedMs));
    for (const id of this.#dead(connection, unfinishedMs)) {
      count += connection.run("DELETE FROM leases WHERE id = ?", id);
    }
    return count;
  }

  /** @param unfinishedMs as in {@link sweep}: whether it will be leased after that */
  async isLeased(digest: Digest, unfinishedMs?: number): Promise<boolean> {
    const connection = await this.#metadata.readable();
    return connection !== undefined && this.isLeasedIn(connection, digest, unfinishedMs);
  }

  /** The same within a transaction: who leases the digest from then on sees what the transaction did. */
  isLeasedIn(connection: Connection, digest: Digest, unfinishedMs?: number): boolean {
    const holders = connection.all(LEASED, digest, ...this.#limits(unfinishedMs)).map(({ id }) => String(id));
    if (holders.length === 0 || unfinishedMs === undefined) return holders.length > 0;
    const dead = new Set(this.#dead(connection, unfinishedMs));
    return holders.some((id) => !dead.has(id));
  }

  /** Those that have time left and were taken more than `unfinishedMs` ago by processes that are no more. */
  #dead(connection: Connection, unfinishedMs: number | undefined): string[] {
    const [now, unfinished, before] = this.#limits(unfinishedMs);
    const rows = connection.all(
      "SELECT id FROM leases WHERE expires_at > ? AND id NOT GLOB ? AND created_at <= ?",
      now,
      unfinished,
      before,
    );
    return rows.map(({ id }) => String(id)).filter((id) => !this.#locks.isLeaseHeld(id));
  }

  async #add(id: string, ttlMs: number, digests: readonly Digest[]): Promise<void> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      if (connection.get("SELECT 1 FROM leases WHERE id = ?", id) === undefined) this.#renew(connection, id, ttlMs);
      this.#protect(connection, id, digests);
    });
  }

  /** Renews a lease with all that it protects, also when another process took it for one of the dead and ended it. */
  async #hold(id: string, ttlMs: number, digests: Iterable<Digest>): Promise<void> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      this.#renew(connection, id, ttlMs);
      this.#protect(connection, id, digests);
    });
  }

  #protect(connection: Connection, id: string, digests: Iterable<Digest>): void {
    for (const digest of digests) {
      connection.run("INSERT OR IGNORE INTO lease_resources (digest, lease_id) VALUES (?, ?)", digest, id);
    }
  }

  #limits(unfinishedMs = UNFINISHED_TTL_MS): [number, string, number] {
    return [this.#now(), `${UNFINISHED}*`, this.#now() - unfinishedMs];
  }

  #leave(connection: Connection, id: string, kept: string): void {
    connection.transaction(() => {
      connection.run("DELETE FROM leases WHERE id = ?", kept);
      this.#renew(connection, kept, UNFINISHED_TTL_MS);
      connection.run("UPDATE lease_resources SET lease_id = ? WHERE lease_id = ?", kept, id);
      connection.run("DELETE FROM leases WHERE id = ?", id);
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

const ENDED = "expires_at <= ? OR (id GLOB ? AND created_at <= ?)";

const LEASED = `
  SELECT leases.id FROM lease_resources JOIN leases ON leases.id = lease_resources.lease_id
  WHERE lease_resources.digest = ? AND NOT (${ENDED})`;
