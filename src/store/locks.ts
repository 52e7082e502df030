/**
 * The store's locks, held between processes and freed by the kernel when their holder dies. Order, for those who hold
 * several: digests, then `index`; whoever removes content only tries for digests and never waits for them.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { digestHex, digestOf, type Digest } from "../oci/digest.ts";
import { lock, tryLock, type FileLock } from "../sys/flock.ts";
import { digestOfKey, fileKey } from "./layout.ts";

/** `store`: making or migrating the store. `index`: writing index.json. */
export type LockName = "store" | "index";

const USE = "use-";
const LEASE = "lease-";
const DISK = "disk-";
const LAYER = "layer-";
const CHAIN = "chain-";
const SNAPSHOT = "snapshot-";
const STAGE = "stage-";
/** Kinds of locks whose files say nothing when nobody holds them. */
const PASSING: readonly string[] = [LEASE, DISK, LAYER, CHAIN, SNAPSHOT, STAGE];
const SUFFIX = ".lock";

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
    return this.#lock(this.#digestPath(digest), digest, { signal, onWait });
  }

  /**
   * The lock under which a machine's disk is made or removed. Not that of a digest: a blob may have been made whose digest is a disk's key, and
   * who has the disk may come to want the blob. @throws VarveError as {@link digest}
   */
  async disk(key: Digest, options: LockWaitOptions = {}): Promise<FileLock> {
    const { wait = true, signal, onWait } = options;
    const taken = this.tryDisk(key);
    if (taken !== undefined) return taken;
    if (wait) return this.#lock(this.#pathOf(DISK, fileKey(key)), `the disk ${key}`, { signal, onWait });
    throw new VarveError("STORE_BUSY", `another process is at work on the disk ${key}`, { detail: { digest: key } });
  }

  /** That lock, or undefined when someone has it. */
  tryDisk(key: Digest): FileLock | undefined {
    return this.#try(this.#pathOf(DISK, fileKey(key)), `the disk ${key}`);
  }

  /** Whether someone has it. Makes nothing. */
  isDiskHeld(key: Digest): boolean {
    return isHeld(this.#pathOf(DISK, fileKey(key)));
  }

  /** The lock under which a layer is unpacked, once for all who want it. @throws VarveError as {@link digest} */
  async layer(diffId: Digest, options: LockWaitOptions = {}): Promise<Disposable> {
    const { wait = true, signal, onWait } = options;
    const path = this.#pathOf(LAYER, fileKey(diffId));
    const taken = this.#try(path, diffId);
    if (taken !== undefined) return passing(taken);
    if (wait) return passing(await this.#lock(path, diffId, { signal, onWait }));
    throw new VarveError("STORE_BUSY", `another process is unpacking ${diffId}`, { detail: { diffId } });
  }

  /** The lock under which a snapshot gets its name. @param name of any characters @throws VarveError as {@link named} */
  async chain(name: string, signal?: AbortSignal): Promise<Disposable> {
    const path = this.#pathOf(CHAIN, digestHex(digestOf(name)));
    return passing(await this.#lock(path, "a snapshot's name", { signal }));
  }

  /**
   * The lock under which a snapshot's folder is made, bound or removed. Order, for those who hold several: layers, the name, this one.
   * @throws VarveError as {@link named}
   */
  async snapshot(id: number, signal?: AbortSignal): Promise<Disposable> {
    return passing(await this.#lock(this.#pathOf(SNAPSHOT, String(id)), `snapshot ${id}`, { signal }));
  }

  /** That lock, or undefined when someone has it. */
  trySnapshot(id: number): Disposable | undefined {
    const taken = this.#try(this.#pathOf(SNAPSHOT, String(id)), `snapshot ${id}`);
    return taken && passing(taken);
  }

  /** Whether someone has it. Makes nothing. */
  isSnapshotHeld(id: number): boolean {
    return isHeld(this.#pathOf(SNAPSHOT, String(id)));
  }

  /** Says that the process which fills a staged snapshot, or a disk that has no key yet, is alive, for as long as it is. */
  async stage(id: number | string): Promise<Disposable> {
    return passing(await this.#lock(this.#pathOf(STAGE, String(id)), `what is staged as ${id}`, {}));
  }

  /** Whether that process is alive. Makes nothing. */
  isStageHeld(id: number | string): boolean {
    return isHeld(this.#pathOf(STAGE, String(id)));
  }

  /** The digest's lock, or undefined when someone has it. */
  tryDigest(digest: Digest): FileLock | undefined {
    return this.#try(this.#digestPath(digest), digest);
  }

  /** Whether someone holds the digest's lock at this moment. Makes nothing. */
  isHeld(digest: Digest): boolean {
    return isHeld(this.#digestPath(digest));
  }

  /**
   * Keeps an image's content while this process reads it, whatever happens to its names. Take it, then see that the image
   * still has its name. Where nothing can be written nobody can be told, and reading goes on without.
   */
  use(digest: Digest): Disposable {
    const path = this.#usePath(digest);
    try {
      for (;;) {
        const shared = tryLock(path, { shared: true });
        // Who has it alone is only finding out whether it is held, or about to remove the file.
        if (shared !== undefined) return { [Symbol.dispose]: () => endUse(shared) };
      }
    } catch {
      return { [Symbol.dispose]: () => undefined };
    }
  }

  /** What processes have taken for {@link use} at this moment. */
  inUse(): Digest[] {
    return this.#digests().flatMap(({ name, digest }) =>
      name.startsWith(USE) && isHeld(join(this.#directory, name)) ? [digest] : [],
    );
  }

  /** Says that the process which took the lease is alive, for as long as it is. The id is new, so nobody else has it. */
  lease(id: string): FileLock {
    const path = this.#leasePath(id);
    try {
      for (;;) {
        // Who has it for a moment is only finding out whether it is held.
        const taken = tryLock(path);
        if (taken !== undefined) return taken;
      }
    } catch (error) {
      throw toVarveError(error, `locking the lease ${id}`);
    }
  }

  isLeaseHeld(id: string): boolean {
    return isHeld(this.#leasePath(id));
  }

  /** Lock files of passing things that nobody holds: their process died. Only files, not locks: the kernel has freed those. */
  stale(): string[] {
    const passing = namesIn(this.#directory).filter(
      (name) => name.endsWith(SUFFIX) && PASSING.some((kind) => name.startsWith(kind)),
    );
    return [...this.#digests().map(({ name }) => name), ...passing]
      .map((name) => join(this.#directory, name))
      .filter((path) => !isHeld(path));
  }

  /** Removes a lock file that nobody holds; one that somebody takes meanwhile stays. @returns whether it was removed */
  removeStale(path: string): boolean {
    if (!existsSync(path)) return false;
    const taken = tryLock(path);
    taken?.unlock({ remove: true });
    return taken !== undefined;
  }

  /** Lock files that belong to digests. */
  #digests(): { readonly name: string; readonly digest: Digest }[] {
    return namesIn(this.#directory).flatMap((name) => {
      if (!name.endsWith(SUFFIX)) return [];
      const digest = digestOfKey(name.slice(name.startsWith(USE) ? USE.length : 0, -SUFFIX.length));
      return digest === undefined ? [] : [{ name, digest }];
    });
  }

  async #lock(
    path: string,
    what: string,
    { signal, onWait }: { signal?: AbortSignal | undefined; onWait?: (() => void) | undefined },
  ): Promise<FileLock> {
    try {
      return await lock(path, { ...(signal !== undefined && { signal }), ...(onWait !== undefined && { onWait }) });
    } catch (error) {
      throw toVarveError(error, `locking ${what}`);
    }
  }

  #try(path: string, what: string): FileLock | undefined {
    try {
      return tryLock(path);
    } catch (error) {
      throw toVarveError(error, `locking ${what}`);
    }
  }

  #pathOf(kind: string, id: string): string {
    return join(this.#directory, `${kind}${id}${SUFFIX}`);
  }

  #leasePath(id: string): string {
    return this.#pathOf(LEASE, id);
  }

  #usePath(digest: Digest): string {
    return join(this.#directory, `${USE}${fileKey(digest)}${SUFFIX}`);
  }

  #digestPath(digest: Digest): string {
    return join(this.#directory, `${fileKey(digest)}${SUFFIX}`);
  }
}

/** A lock whose file goes with it. */
function passing(held: FileLock): Disposable {
  return { [Symbol.dispose]: () => held.unlock({ remove: true }) };
}

/** The last one to leave takes the file along. */
function endUse(held: FileLock): void {
  held.unlock();
  try {
    if (existsSync(held.path)) tryLock(held.path)?.unlock({ remove: true });
  } catch {
    // It stays behind; collecting garbage removes it.
  }
}

function isHeld(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    const taken = tryLock(path);
    taken?.unlock();
    return taken === undefined;
  } catch {
    // Somebody else's file, or a file system that is only read: nobody can tell, so it counts as held.
    return true;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Who may not see another user's locks may not change what they protect either.
    if (code === "ENOENT" || code === "EACCES") return [];
    throw toVarveError(error, "listing the store's locks");
  }
}
