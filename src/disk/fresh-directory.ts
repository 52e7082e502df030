/**
 * A directory of files that appears when it is whole: made beside its target under a name of its own and renamed. A target that is there
 * already, which may be a mount or somebody's link, gets its files one by one, each whole. Whoever is killed leaves the made part behind; its
 * lock is free then, and the next one to make the same directory removes it.
 */
import { createHash, randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, realpath, rename, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { syncNames } from "../store/durable.ts";
import { tryLock, type FileLock } from "../sys/flock.ts";
import { makeDirectory } from "../sys/make-directory.ts";

export interface FreshDirectoryOptions {
  /** Whether files of a directory that is there may be replaced. Default false: it has to be empty. */
  readonly replaces?: boolean;
}

const LOCK = ".lock";

export class FreshDirectory implements AsyncDisposable {
  /** Where its files are to be made. */
  readonly path: string;
  /** Where they will be. */
  readonly target: string;
  /** Whether the target is a directory that is there. */
  readonly #isThere: boolean;
  readonly #replaces: boolean;
  /** How names of unfinished directories in the same place begin. */
  readonly #prefix: string;
  readonly #lock: FileLock | undefined;
  /** Topmost of the parents that were made for it. */
  readonly #madeParent: string | undefined;
  #published = false;

  private constructor(
    path: string,
    target: string,
    lock: FileLock | undefined,
    given: {
      readonly isThere: boolean;
      readonly replaces: boolean;
      readonly prefix: string;
      readonly madeParent: string | undefined;
    },
  ) {
    this.path = path;
    this.target = target;
    this.#lock = lock;
    this.#isThere = given.isThere;
    this.#replaces = given.replaces;
    this.#prefix = given.prefix;
    this.#madeParent = given.madeParent;
  }

  /**
   * @param target absolute; parents that are missing are made
   * @throws VarveError `TARGET_NOT_EMPTY`, `PATH_INVALID` for what is no directory, `PERMISSION`, `NO_SPACE`, `IO`
   */
  static async create(target: string, { replaces = false }: FreshDirectoryOptions = {}): Promise<FreshDirectory> {
    try {
      const there = await directoryAt(target);
      const [home, madeParent] = there === undefined ? await homeOf(target) : [there, undefined];
      const prefix = `.varve-vm-${createHash("sha256").update(basename(target)).digest("hex").slice(0, 12)}-`;
      await removeLeftBehind(home, prefix);
      if (there !== undefined && !replaces) await mustBeEmpty(there, prefix);
      const path = join(home, prefix + randomUUID());
      const lock = lockIfPossible(path + LOCK);
      const given = { isThere: there !== undefined, replaces, prefix, madeParent };
      const fresh = new FreshDirectory(path, there ?? join(home, basename(target)), lock, given);
      await mkdir(path).catch(async (error: unknown) => {
        await fresh[Symbol.asyncDispose]();
        throw error;
      });
      return fresh;
    } catch (error) {
      throw toVarveError(error, `making ${target}`);
    }
  }

  /**
   * @param names of all its files, which are synced; the last is what others take the directory for whole by, and comes last
   * @throws VarveError `TARGET_NOT_EMPTY` when something was made there meanwhile, `PATH_INVALID`, `IO`
   */
  async publish(names: readonly string[]): Promise<void> {
    try {
      await syncNames(this.path);
      await (this.#isThere ? this.#moveIn(names) : this.#appear());
    } catch (error) {
      throw toVarveError(error, `making ${this.target}`);
    }
    this.#published = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    this.#lock?.unlock({ remove: true });
    if (!this.#published && this.#madeParent !== undefined) await removeEmpty(dirname(this.target), this.#madeParent);
  }

  async #appear(): Promise<void> {
    try {
      await rename(this.path, this.target);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "ENOTDIR") throw error;
      throw new VarveError("TARGET_NOT_EMPTY", `${this.target} was made by somebody else meanwhile`, { cause: error });
    }
    await syncNames(dirname(this.target));
  }

  async #moveIn(names: readonly string[]): Promise<void> {
    // Somebody may have put something there meanwhile.
    if (!this.#replaces) await mustBeEmpty(this.target, this.#prefix);
    for (const name of names) await mustNotBeDirectory(join(this.target, name));
    const moved: string[] = [];
    try {
      for (const name of names) {
        await rename(join(this.path, name), join(this.target, name));
        moved.push(join(this.target, name));
      }
    } catch (error) {
      // What was replaced is gone; what is new where nothing was goes again.
      if (!this.#replaces) for (const path of moved) await rm(path, { force: true });
      throw error;
    }
    await syncNames(this.target);
  }
}

/** Its real path; undefined when nothing is there. @throws VarveError `PATH_INVALID` */
async function directoryAt(target: string): Promise<string | undefined> {
  const stats = await stat(target).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  if (stats === undefined) return undefined;
  if (stats.isDirectory()) return realpath(target);
  throw new VarveError("PATH_INVALID", `${target} is no directory`, { hint: "choose a directory" });
}

/** The directory that it will be in, and the topmost that had to be made. */
async function homeOf(target: string): Promise<readonly [home: string, made: string | undefined]> {
  const parent = dirname(target);
  const made = await makeDirectory(parent);
  return [made === undefined ? await realpath(parent) : parent, made];
}

async function removeEmpty(from: string, top: string): Promise<void> {
  for (let path = from; path.length >= top.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      return;
    }
  }
}

async function mustBeEmpty(directory: string, prefix: string): Promise<void> {
  if ((await readdir(directory)).every((name) => name.startsWith(prefix))) return;
  throw new VarveError("TARGET_NOT_EMPTY", `${directory} is not empty`);
}

async function mustNotBeDirectory(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isDirectory() === true) throw new VarveError("PATH_INVALID", `${path} is a directory`);
}

/** Not where the file system has no locks: then nothing is taken for left behind there either. */
function lockIfPossible(path: string): FileLock | undefined {
  try {
    return tryLock(path);
  } catch {
    return undefined;
  }
}

async function removeLeftBehind(home: string, prefix: string): Promise<void> {
  // Who may write there and not look has to leave them.
  const names = (await readdir(home).catch(() => [])).filter((name) => name.startsWith(prefix));
  for (const name of new Set(names.map((name) => (name.endsWith(LOCK) ? name.slice(0, -LOCK.length) : name)))) {
    const lock = lockIfPossible(join(home, name + LOCK));
    if (lock === undefined) continue;
    await rm(join(home, name), { recursive: true, force: true }).catch(() => undefined);
    lock.unlock({ remove: true });
  }
}
