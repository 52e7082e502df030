/**
 * The store's locks, held between processes and freed by the kernel when their holder dies. Order, for those who hold
 * several: `content`, then digests, then `index`; whoever removes content only tries for digests and never waits for them.
 */
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import { lock, tryLock, type FileLock } from "../sys/flock.ts";
import { fileKey } from "./layout.ts";

/**
 * `store`: making or migrating the store. `content`: shared by those who record images, exclusive to those who find out
 * what no image needs and remove it. `index`: writing index.json.
 */
export type LockName = "store" | "content" | "index";

export interface LockWaitOptions {
  /** Default true; otherwise a lock that is taken is `STORE_BUSY`. */
  readonly wait?: boolean;
  readonly signal?: AbortSignal;
  /** Called once when the lock is found taken and is waited for. */
  readonly onWait?: () => void;
}

export class StoreLocks {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws VarveError `INTERRUPTED`, `STORE_READ_ONLY`, `PERMISSION`, `IO` */
  async named(name: LockName, options: { shared?: boolean; signal?: AbortSignal } = {}): Promise<FileLock> {
    try {
      return await lock(join(this.#directory, `${name}.lock`), options);
    } catch (error) {
      throw toVarveError(error, `locking the store (${name})`);
    }
  }

  /** The lock under which a blob is made or removed. @throws VarveError `STORE_BUSY`, and as {@link named} */
  async digest(digest: Digest, options: LockWaitOptions = {}): Promise<FileLock> {
    const { wait = true, signal, onWait } = options;
    if (!wait) {
      const taken = this.tryDigest(digest);
      if (taken !== undefined) return taken;
      throw new VarveError("STORE_BUSY", `another process is at work on ${digest}`, { detail: { digest } });
    }
    try {
      const given = { ...(signal !== undefined && { signal }), ...(onWait !== undefined && { onWait }) };
      return await lock(this.#digestPath(digest), given);
    } catch (error) {
      throw toVarveError(error, `locking ${digest}`);
    }
  }

  /** The digest's lock, or undefined when someone has it. */
  tryDigest(digest: Digest): FileLock | undefined {
    try {
      return tryLock(this.#digestPath(digest));
    } catch (error) {
      throw toVarveError(error, `locking ${digest}`);
    }
  }

  #digestPath(digest: Digest): string {
    return join(this.#directory, `${fileKey(digest)}.lock`);
  }
}
