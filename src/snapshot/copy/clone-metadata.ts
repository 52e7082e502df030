/**
 * Owner, extended attributes, mode and times of what a clone is made of, in the one order that works: a new owner clears set-id bits and
 * file capabilities, and every change moves the times.
 */
import { privileges, type Privileges } from "../../layer/privileges.ts";
import type { AtCalls, FileStatus } from "../../sys/at.ts";
import { errnoName, must, systemError } from "../../sys/errno.ts";
import { xattrCalls } from "../../sys/xattr.ts";

const PERMISSIONS = 0o7777;
const SET_ID = 0o6000;
const REFUSED: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EINVAL", "ENOTSUP"]);

/** Counts of what could not be kept, as in an `ApplyReport`. */
export interface Skipped {
  owners: number;
  devices: number;
  xattrs: number;
}

export class CloneMetadata {
  readonly skipped: Skipped = { owners: 0, devices: 0, xattrs: 0 };
  readonly #at: AtCalls;
  readonly #privileges: Privileges = privileges();

  constructor(at: AtCalls) {
    this.#at = at;
  }

  /** Whether what the kernel refuses may be left out. */
  get restricted(): boolean {
    return this.#privileges.restricted;
  }

  /** Whether modes may keep this user from its own files. */
  get confined(): boolean {
    return this.#privileges.uid !== 0;
  }

  /** Of an open file. `source` and `target` are the directories. */
  file(file: number, source: number, target: number, name: string, status: FileStatus): void {
    const owned = this.#owner(this.#at.fileChown(file, status.uid, status.gid));
    this.#attributes(placeOf(source, name), placeOf(target, name));
    must(this.#at.fileChmod(file, modeOf(status, owned)), "fchmod", name);
    must(this.#at.fileSetTimes(file, status.accessedAt, status.modifiedAt), "futimens", name);
  }

  /** Of what is no directory and is not opened. */
  other(source: number, target: number, name: string, status: FileStatus, isLink: boolean): void {
    const owned = this.#owner(this.#at.chown(target, name, status.uid, status.gid));
    this.#attributes(placeOf(source, name), placeOf(target, name));
    if (!isLink) must(this.#at.chmod(target, name, modeOf(status, owned)), "fchmodat", name);
    must(this.#at.setTimes(target, name, status.accessedAt, status.modifiedAt), "utimensat", name);
  }

  /** Of a directory whose children are complete; its mode comes last, for it may shut it. */
  directory(source: number, target: number, status: FileStatus): void {
    const owned = this.#owner(this.#at.chown(target, ".", status.uid, status.gid));
    this.#attributes(placeOf(source, "."), placeOf(target, "."));
    must(this.#at.setTimes(target, ".", status.accessedAt, status.modifiedAt), "utimensat");
    must(this.#at.chmod(target, "", modeOf(status, owned)), "fchmod");
  }

  /** Takes away what a directory has got from the one that it was made in, or had before. */
  clear(directory: number): void {
    if (!this.#at.native) return;
    const path = placeOf(directory, ".");
    for (const name of xattrCalls().list(path)) if (name !== "security.selinux") xattrCalls().remove(path, name);
  }

  /** @returns whether it belongs to whom it should */
  #owner(result: number): boolean {
    if (result >= 0) return true;
    if (!this.restricted || !REFUSED.has(errnoName(-result))) throw systemError(-result, "chown");
    this.skipped.owners++;
    return false;
  }

  #attributes(source: string, target: string): void {
    if (!this.#at.native) return;
    const calls = xattrCalls();
    for (const name of calls.list(source)) {
      const value = calls.get(source, name);
      const result = value === undefined ? 0 : calls.set(target, name, value);
      if (result >= 0) continue;
      // A label is the system's to give; everything else only a user with fewer rights may have to leave out.
      if (!REFUSED.has(errnoName(-result)) || !(this.restricted || name.startsWith("security."))) {
        throw systemError(-result, `lsetxattr (${name})`);
      }
      this.skipped.xattrs++;
    }
  }
}

/** Set-id bits of somebody else's program must not become ours. */
function modeOf({ mode }: FileStatus, owned: boolean): number {
  return mode & PERMISSIONS & (owned ? PERMISSIONS : ~SET_ID);
}

function placeOf(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`;
}
