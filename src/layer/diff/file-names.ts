/** The first name that was told of each file with several: the others are links to it. */
import { VarveError } from "../../errors/varve-error.ts";
import type { FileStatus } from "../../sys/at.ts";
import { identityOf } from "./tree-directory.ts";

/** Files at once that have names yet to come; about 300 bytes each. */
const MAX_FILES = 2_000_000;

interface Named {
  readonly path: string;
  left: number;
}

export class FileNames {
  readonly #files = new Map<string, Named>();

  /**
   * @returns the path under which the file was told before
   * @throws VarveError `LAYER_LIMIT`
   */
  tell(status: FileStatus, path: string): string | undefined {
    if (status.links < 2) return undefined;
    const file = identityOf(status);
    const known = this.#files.get(file);
    if (known === undefined) {
      if (this.#files.size >= MAX_FILES) {
        throw new VarveError("LAYER_LIMIT", `more than ${MAX_FILES} files with several names changed`);
      }
      this.#files.set(file, { path, left: status.links - 1 });
      return undefined;
    }
    if (--known.left <= 0) this.#files.delete(file);
    return known.path;
  }
}
