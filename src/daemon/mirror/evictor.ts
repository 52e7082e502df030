/** Keeps what a mirror has cached within its bytes: what was not asked for the longest goes first, and nothing that is being sent. */
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import type { Daemon } from "../daemon.ts";

/** Also without anything new: others put into the store, and the configuration changes. */
const PERIOD_MS = 10 * 60_000;
/** Whoever has just asked for it is still being sent it, or will ask for what belongs to it. */
const FRESH_MS = 60_000;

export interface EvictorOptions {
  readonly daemon: Pick<Daemon, "config" | "log">;
  readonly store: Store;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Whether content is needed though nobody has asked for it just now. */
  readonly isInUse: (digest: Digest) => boolean;
}

export class Evictor implements AsyncDisposable {
  readonly #options: EvictorOptions;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(options: EvictorOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.wake(), PERIOD_MS).unref();
  }

  /** Looks whether something has to go, in the background; at once, or once more when it is looking. */
  wake(): void {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Settles when nothing is left to be done. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { daemon } = this.#options;
    while (this.#again) {
      this.#again = false;
      await this.#evict().catch((error: unknown) =>
        daemon.log.warn({ error }, "the mirror's cache could not be cut down"),
      );
    }
  }

  async #evict(): Promise<void> {
    const { daemon, store, now, isInUse } = this.#options;
    const { keepBytes } = daemon.config().mirror;
    if (keepBytes === null) return;
    const spare = (digest: Digest, lastUsedAt: Date): boolean =>
      now() - lastUsedAt.getTime() < FRESH_MS || isInUse(digest);
    const gone = await store.repositories.evict("mirror", keepBytes, { spare });
    if (gone.length === 0) return;
    const { freedBytes } = await store.removeUnreferenced(gone);
    daemon.log.info({ digests: gone.length, freedBytes }, "cut down the mirror's cache");
  }
}
