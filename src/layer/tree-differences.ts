/** In what a tree differs from what it should be: bounded lists, for a damaged disk may differ in everything. */
import { quoteName } from "./names.ts";

const MAX_LISTED = 100;

export interface TreeDifferences {
  /** Paths of what should be there; of a deletion the whiteout's (`d/.wh.x`). */
  readonly missing: readonly string[];
  /** Lines: the path, quoted, and what of it differs. */
  readonly changed: readonly string[];
  /** Paths of what should not be there. */
  readonly extra: readonly string[];
  /** How many there are beyond the first hundred of each kind. */
  readonly more: number;
}

export class DifferenceList {
  readonly #missing: string[] = [];
  readonly #changed: string[] = [];
  readonly #extra: string[] = [];
  #more = 0;

  missing(path: string): void {
    this.#add(this.#missing, path);
  }

  changed(path: string, what: string): void {
    this.#add(this.#changed, `${quoteName(path === "" ? "/" : path)}: ${what}`);
  }

  extra(path: string): void {
    this.#add(this.#extra, path);
  }

  get differences(): TreeDifferences {
    return { missing: this.#missing, changed: this.#changed, extra: this.#extra, more: this.#more };
  }

  #add(list: string[], line: string): void {
    if (list.length < MAX_LISTED) list.push(line);
    else this.#more++;
  }
}
