/** One daemon to a store: two would fight for its jobs. The command line needs no such thing and works beside it. */
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { tryLock } from "../../sys/flock.ts";
import { makeDirectory } from "../../sys/make-directory.ts";

/** @returns the lock, and the directory of what belongs to the daemon alone. @throws VarveError `DAEMON_RUNNING`, `STORE_READ_ONLY` ... */
export async function lockStore(root: string): Promise<Disposable & { readonly directory: string }> {
  const directory = join(root, "daemon");
  try {
    await makeDirectory(directory, { mode: 0o700 });
    const lock = tryLock(join(directory, "lock"));
    if (lock !== undefined) return { directory, [Symbol.dispose]: () => lock.unlock() };
  } catch (error) {
    throw toVarveError(error, "the daemon's directory");
  }
  throw new VarveError("DAEMON_RUNNING", `another daemon serves the store ${root}`);
}
