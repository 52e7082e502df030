/**
 * Where the content of each file of a tar lies: what the operations of a tar-diff open (formats "tar-diff" §1, "Reader rules"). Paths are those of
 * the tar's own headers, so a symbolic link leads nowhere, and a device is no file. A path that comes twice is what came last, as unpacking has it.
 */
import type { Base } from "../librsync/base.ts";
import type { TarEntry, TarHandler } from "../tar/entry.ts";
import { cleanMemberPath, leavesItsPlace } from "./member-path.ts";
import { walkHeaders } from "./walk-headers.ts";

/** Bytes `[start, start + size)` of the tar. */
export interface MemberPlace {
  readonly start: number;
  readonly size: number;
}

export class TarMembers {
  readonly #places = new Map<string, number>();
  #numbers = new Float64Array(1024);
  #used = 0;

  /**
   * One pass over the tar's headers. Memory: some 150 bytes for each file.
   * @throws VarveError `LAYER_INVALID`, `LAYER_LIMIT`; what the tar throws; the signal's reason
   */
  static async of(tar: Base, signal?: AbortSignal): Promise<TarMembers> {
    const members = new TarMembers();
    await walkHeaders(tar, new MemberReader(members), signal);
    return members;
  }

  /** @param path cleaned, as a surrogateescape string */
  find(path: string): MemberPlace | undefined {
    const at = this.#places.get(path);
    return at === undefined ? undefined : { start: this.#numbers[at]!, size: this.#numbers[at + 1]! };
  }

  /** Takes the path's last meaning away, and gives it another one. */
  set(path: string, place: MemberPlace | undefined): void {
    if (place === undefined) {
      this.#places.delete(path);
      return;
    }
    if (this.#used === this.#numbers.length) {
      const more = new Float64Array(2 * this.#used);
      more.set(this.#numbers);
      this.#numbers = more;
    }
    this.#places.set(path, this.#used);
    this.#numbers[this.#used++] = place.start;
    this.#numbers[this.#used++] = place.size;
  }
}

class MemberReader implements TarHandler {
  readonly #members: TarMembers;
  #position = 0;

  constructor(members: TarMembers) {
    this.#members = members;
  }

  raw(bytes: Uint8Array): void {
    this.#position += bytes.length;
  }

  data(bytes: Uint8Array): void {
    this.#position += bytes.length;
  }

  skip(length: number): void {
    this.#position += length;
  }

  endEntry(): void {}

  entry({ type, name, linkName, size, sparse }: TarEntry): void {
    const path = cleanMemberPath(name);
    if (path === "" || leavesItsPlace(name)) return;
    // Of a sparse file the tar has only parts.
    if (type === "file" && sparse === undefined) this.#members.set(path, { start: this.#position, size });
    else this.#members.set(path, type === "link" ? this.#members.find(cleanMemberPath(linkName)) : undefined);
  }
}
