/**
 * The folder of a snapshot that is a whole tree, and how another tree takes its place:
 *
 *     fs        the tree
 *     fs.new    one that is being made. A death leaves it, and the next try begins anew
 *     fs.old    the one before, for the moment between two renames: if `fs` is missing it still is the tree
 *
 * Beside them lies what gives the tar of the layer again whose tree it is, where its blob was not to stay (`tar-split.json.zst`, `layer.json`).
 */
import { chmod, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../../sys/remove-tree.ts";
import { exists } from "../folder.ts";

export class TreeFolder {
  readonly tree: string;
  readonly #new: string;
  readonly #old: string;

  constructor(folder: string) {
    this.tree = join(folder, "fs");
    this.#new = join(folder, "fs.new");
    this.#old = join(folder, "fs.old");
  }

  /** An empty root, as every tree begins. */
  static async makeRoot(path: string): Promise<void> {
    await mkdir(path);
    // Whatever the umask is.
    await chmod(path, 0o755);
  }

  /** Puts right what a death between two renames left. @returns the tree */
  async settle(): Promise<string> {
    if (!(await exists(this.tree)) && (await exists(this.#old))) await rename(this.#old, this.tree);
    return this.tree;
  }

  /** @param fill makes a directory at the path, which then is the tree */
  async replace(fill: (path: string) => Promise<unknown>): Promise<void> {
    await removeTree(this.#new);
    await fill(this.#new);
    if (await exists(this.tree)) {
      await removeTree(this.#old);
      await rename(this.tree, this.#old);
    }
    await rename(this.#new, this.tree);
    await removeTree(this.#old);
  }
}
