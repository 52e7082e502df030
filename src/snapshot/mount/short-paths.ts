/**
 * Paths for mount options that have room for few bytes, or where some characters mean something: `/proc/self/fd/<n>` of a file that is
 * kept open meanwhile. Needs no working directory, which is the whole process', and no links beside the store.
 */
import { closeSync, openSync } from "node:fs";
import { O_PATH } from "../../sys/at.ts";
import { nameLength, systemName } from "../../sys/path-bytes.ts";

export class ShortPaths implements Disposable {
  readonly #files: number[] = [];

  /** The path itself when it has at most `limit` bytes and `plain` does not find anything in it. */
  fit(path: string, limit: number, special?: RegExp): string {
    return nameLength(path) <= limit && special?.test(path) !== true ? path : this.shorten(path);
  }

  /** @throws NodeJS.ErrnoException when there is no such path */
  shorten(path: string): string {
    const file = openSync(systemName(path), O_PATH);
    this.#files.push(file);
    return `/proc/self/fd/${file}`;
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.splice(0)) closeSync(file);
  }
}
