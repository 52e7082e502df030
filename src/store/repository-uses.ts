/** When content of repositories was last asked for: noted in memory, written many at once, so that a pull costs no sync of the disk. */
import type { Digest } from "../oci/digest.ts";
import type { Metadata } from "./database.ts";
import type { RepositoryKey } from "./repository-types.ts";

/** Noted and not written yet. */
const MOST = 1000;

interface Use {
  readonly key: RepositoryKey;
  readonly digest: Digest;
  readonly at: number;
}

export class RepositoryUses {
  readonly #metadata: Metadata;
  readonly #now: () => number;
  #noted = new Map<string, Use>();
  #writing: Promise<void> = Promise.resolve();

  constructor(metadata: Metadata, now: () => number) {
    this.#metadata = metadata;
    this.#now = now;
  }

  note(key: RepositoryKey, digest: Digest): void {
    this.#noted.set(`${key.origin} ${key.name} ${digest}`, { key, digest, at: this.#now() });
    // Nobody waits for it, and what cannot be written is no reason to fail a pull.
    if (this.#noted.size >= MOST) void this.write().catch(() => undefined);
  }

  async write(): Promise<void> {
    const noted = this.#noted;
    this.#noted = new Map();
    const before = this.#writing;
    const mine = (async (): Promise<void> => {
      await before.catch(() => undefined);
      if (noted.size === 0) return;
      const connection = await this.#metadata.writable();
      connection.transaction(() => {
        for (const { key, digest, at } of noted.values()) connection.run(TOUCH, at, key.origin, key.name, digest);
      });
    })();
    this.#writing = mine;
    await mine;
  }
}

const TOUCH = `
  UPDATE repository_contents SET last_used_at = MAX(last_used_at, ?)
  WHERE repository = (SELECT id FROM repositories WHERE origin = ? AND name = ?) AND digest = ?`;
