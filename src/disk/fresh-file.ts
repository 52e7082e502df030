/**
 * A file that takes another's place when it is whole: made beside it under a name of its own, which no one sees at `path` before `publish`.
 * Whoever is killed leaves it behind; its lock is free then, and the next one to make the same file removes it.
 */
import { createHash, randomUUID } from "node:crypto";
import { constants, rmSync } from "node:fs";
import { open, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncNames } from "../store/durable.ts";
import { tryLock, type FileLock } from "../sys/flock.ts";

/** Whose place it takes, if there is something: who owns that and who may read it stays. */
export interface Replaced {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export class FreshFile implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #lock: FileLock | undefined;
  #published = false;

  private constructor(path: string, temporary: string, handle: FileHandle, lock: FileLock | undefined) {
    this.#path = path;
    this.#temporary = temporary;
    this.#handle = handle;
    this.#lock = lock;
  }

  /** @param mode of a new file, less the process's umask @throws NodeJS.ErrnoException */
  static async create(path: string, mode: number, replaced?: Replaced): Promise<FreshFile> {
    const directory = dirname(path);
    const prefix = `.varve-copy-${createHash("sha256").update(basename(path)).digest("hex").slice(0, 12)}-`;
    await removeLeftBehind(directory, prefix);
    const temporary = join(directory, prefix + randomUUID());
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const handle = await open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, replaced === undefined ? mode : 0o600);
    const file = new FreshFile(path, temporary, handle, lockIfPossible(temporary));
    try {
      if (replaced !== undefined) await takeAfter(handle, replaced);
      return file;
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw error;
    }
  }

  get handle(): FileHandle {
    return this.#handle;
  }

  /** Its name goes at once; its space when it is disposed of. */
  removeName(): void {
    if (!this.#published) rmSync(this.#temporary, { force: true });
  }

  /** Its content is to be synced before. @param sync whether to wait until the name is durable as well */
  async publish(sync: boolean): Promise<void> {
    await rename(this.#temporary, this.#path);
    this.#published = true;
    if (sync) await syncNames(dirname(this.#path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.removeName();
    await this.#handle.close();
    this.#lock?.unlock();
  }
}

async function takeAfter(handle: FileHandle, { mode, uid, gid }: Replaced): Promise<void> {
  // Who may not give files away owns what he makes, as with any other program.
  await handle.chown(uid, gid).catch(() => undefined);
  await handle.chmod(mode & 0o777);
}

/** Not where the file system has no locks: then nothing is taken for left behind there either. */
function lockIfPossible(path: string): FileLock | undefined {
  try {
    return tryLock(path);
  } catch {
    return undefined;
  }
}

async function removeLeftBehind(directory: string, prefix: string): Promise<void> {
  // Who may write there and not look has to leave them.
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.startsWith(prefix));
  for (const name of names) {
    const path = join(directory, name);
    const lock = lockIfPossible(path);
    if (lock === undefined) continue;
    // Locking makes a file that has just gone; it goes like the others.
    await rm(path, { force: true }).catch(() => undefined);
    lock.unlock();
  }
}
