/**
 * The files of a layer's tree, opened by the names that the tar has for them: below the layer's root and through no symbolic link, whatever the tree
 * has become (formats "tar-split" §3, §6). Few are open at a time.
 */
import { constants, fstatSync, read, readSync } from "node:fs";
import { promisify } from "node:util";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { atCalls, AT_FDCWD, OPEN_DIRECTORY, type AtCalls } from "../../sys/at.ts";
import { must } from "../../sys/errno.ts";
import { cleanName, quoteName } from "../names.ts";
import type { TreeIndex } from "./tree-index.ts";

/** Of each layer, and an image may have a hundred. */
const MAX_OPEN = 8;
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const readAt = promisify(read);

interface OpenFile {
  readonly fd: number;
  users: number;
}

export class TreeFiles implements Disposable {
  readonly #at: AtCalls;
  readonly #root: number;
  readonly #index: TreeIndex;
  /** By number, in order of last use. */
  readonly #files = new Map<number, OpenFile>();
  /** Where the last file was: the next one is mostly beside it. */
  #directory: { readonly path: string; readonly fd: number } | undefined;
  #isClosed = false;

  /** @param root a directory, which the index is of @throws VarveError `FILE_NOT_FOUND`, `PERMISSION`, `IO`, `FFI_UNAVAILABLE` */
  constructor(root: string, index: TreeIndex) {
    this.#at = atCalls();
    this.#index = index;
    try {
      this.#root = must(this.#at.open(AT_FDCWD, root, OPEN_DIRECTORY, 0), "open", root);
    } catch (error) {
      throw toVarveError(error, "opening the tree of a layer");
    }
  }

  /** Files that are open now. */
  get open(): number {
    return this.#files.size;
  }

  /** @throws VarveError `SOURCE_CHANGED` when it is not there, no file, or of another size */
  check(file: number): void {
    this.#use(file);
    this.#closeIdle();
  }

  /** Fills `into` with its bytes from `start` on, which it has. @throws VarveError `SOURCE_CHANGED`, `IO` */
  async read(file: number, into: Uint8Array, start: number): Promise<void> {
    const opened = this.#use(file);
    opened.users++;
    try {
      for (let filled = 0; filled < into.length;) {
        const { bytesRead } = await readAt(opened.fd, into, filled, into.length - filled, start + filled);
        if (bytesRead === 0) throw this.changed(file, "became shorter while it was read");
        filled += bytesRead;
      }
    } catch (error) {
      throw toVarveError(error, `reading ${this.#quoted(file)} of a layer`);
    } finally {
      opened.users--;
      if (this.#isClosed && opened.users === 0) this.#at.close(opened.fd);
      else this.#closeIdle();
    }
  }

  /** The same while the caller waits. */
  readNow(file: number, into: Uint8Array, start: number): void {
    const { fd } = this.#use(file);
    try {
      for (let filled = 0; filled < into.length;) {
        const bytesRead = readSync(fd, into, filled, into.length - filled, start + filled);
        if (bytesRead === 0) throw this.changed(file, "became shorter while it was read");
        filled += bytesRead;
      }
    } catch (error) {
      throw toVarveError(error, `reading ${this.#quoted(file)} of a layer`);
    } finally {
      this.#closeIdle();
    }
  }

  changed(file: number, how: string, cause?: unknown): VarveError {
    const name = this.#index.nameOf(file);
    const message = `the file ${quoteName(name)}, needed to rebuild its layer's tar, ${how}`;
    return new VarveError("SOURCE_CHANGED", message, { cause, detail: { name } });
  }

  /** What is being read is closed when it has been. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { fd, users } of this.#files.values()) if (users === 0) this.#at.close(fd);
    this.#files.clear();
    if (this.#directory !== undefined) this.#at.close(this.#directory.fd);
    this.#at.close(this.#root);
  }

  #use(file: number): OpenFile {
    if (this.#isClosed) throw new VarveError("INTERNAL", "a layer's tree was read after it was closed");
    const opened = this.#files.get(file) ?? { fd: this.#openFile(file), users: 0 };
    this.#files.delete(file);
    this.#files.set(file, opened);
    return opened;
  }

  #openFile(file: number): number {
    let fd: number;
    try {
      const components = cleanName(this.#index.nameOf(file));
      const base = components.pop() ?? ".";
      fd = must(this.#at.open(this.#parent(components), base, OPEN_FILE, 0), "openat", base);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== undefined && IS_OTHER_TREE.has(code)) throw this.changed(file, "is not there", error);
      throw toVarveError(error, `opening ${this.#quoted(file)} of a layer`);
    }
    try {
      const found = fstatSync(fd);
      const size = this.#index.sizeOf(file);
      if (!found.isFile()) throw this.changed(file, "is no file");
      if (found.size !== size) throw this.changed(file, `has ${found.size} bytes instead of ${size}`);
      return fd;
    } catch (error) {
      this.#at.close(fd);
      throw error;
    }
  }

  #quoted(file: number): string {
    return quoteName(this.#index.nameOf(file));
  }

  #parent(components: readonly string[]): number {
    if (components.length === 0) return this.#root;
    const path = components.join("/");
    if (this.#directory?.path === path) return this.#directory.fd;
    let fd = this.#root;
    for (const component of components) {
      const next = this.#at.open(fd, component, OPEN_DIRECTORY, 0);
      if (fd !== this.#root) this.#at.close(fd);
      fd = must(next, "openat", component);
    }
    if (this.#directory !== undefined) this.#at.close(this.#directory.fd);
    this.#directory = { path, fd };
    return fd;
  }

  #closeIdle(): void {
    for (const [number, { fd, users }] of this.#files) {
      if (this.#files.size <= MAX_OPEN) return;
      if (users > 0) continue;
      this.#files.delete(number);
      this.#at.close(fd);
    }
  }
}

/** What the system says when the tree is not the one that the tar-split was taken of. */
const IS_OTHER_TREE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG", "ENXIO"]);
