/**
 * Owner, attributes, mode and times of a member, in the one order that works: chown clears the set-id bits and file
 * capabilities, so attributes and chmod come after it, and every change moves the times, so they come last. Whatever a new
 * member already has is not set again; that is most of it.
 */
import { constants as system } from "node:os";
import type { TarEntry } from "../codec/tar/entry.ts";
import type { AtCalls, FileStatus } from "../sys/at.ts";
import { errnoName, must, systemError } from "../sys/errno.ts";
import { ACCESS_ACL, type Attributes } from "./attributes.ts";
import type { Directory, Finish } from "./directory.ts";
import { quoteName } from "./names.ts";
import type { Privileges } from "./privileges.ts";
import type { Tally } from "./report.ts";
import { EPOCH, timesOf } from "./times.ts";

const { EPERM } = system.errno;
const SET_ID = 0o6000;
const SET_UID = 0o4000;
const SET_GID = 0o2000;
const OWNER_ALL = 0o700;
const MAX_ID = 0xfffffffe;
const MAX_REFUSED = 10_000;
const IMPLIED: Readonly<Finish> = { accessedAt: EPOCH, modifiedAt: EPOCH };

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface MetadataOptions {
  readonly sameOwner: boolean;
  readonly privileges: Privileges;
}

export class Metadata {
  readonly #at: AtCalls;
  readonly #tally: Tally;
  readonly #attributes: Attributes;
  readonly #sameOwner: boolean;
  readonly #umask: number;
  readonly #restricted: boolean;
  /** Owners that the kernel refused once: `uid:gid`. */
  readonly #refused = new Set<string>();

  constructor(at: AtCalls, tally: Tally, attributes: Attributes, options: MetadataOptions) {
    this.#at = at;
    this.#tally = tally;
    this.#attributes = attributes;
    this.#sameOwner = options.sameOwner;
    this.#umask = options.privileges.umask;
    this.#restricted = options.privileges.restricted;
  }

  /** Of a new regular file that is still open. `fd` is the directory's descriptor. */
  file(file: number, directory: Directory, fd: number, base: string, entry: TarEntry): void {
    const born = this.#bornAs(directory, file, "");
    const owner = this.#chown(file, undefined, born, entry);
    if (directory.hasDefaultAcl || entry.xattrs !== undefined) {
      const path = placeOf(fd, base);
      this.#attributes.dropInherited(path, directory);
      this.#attributes.set(path, entry);
    }
    const mode = withoutForeignSetId(entry, owner);
    if (!this.#isBornWith(mode, directory, entry)) must(this.#at.fileChmod(file, mode), "fchmod", entry.name);
    const { accessedAt, modifiedAt } = timesOf(entry);
    must(this.#at.fileSetTimes(file, accessedAt, modifiedAt), "futimens", entry.name);
  }

  /** Of a new fifo, device or symbolic link. */
  special(directory: Directory, fd: number, base: string, entry: TarEntry): void {
    const owner = this.#chown(fd, base, this.#bornAs(directory, fd, base), entry);
    this.#finishNamed(directory, fd, base, entry, owner, entry.type === "symlink");
  }

  /** Of a file that got one more name: what the entry says holds for all of its names. */
  linked(fd: number, base: string, entry: TarEntry): void {
    const status = this.#at.stat(fd, base);
    if (typeof status === "number") throw systemError(-status, "statx", entry.name);
    const owner = this.#chown(fd, base, status, entry);
    this.#finishNamed(undefined, fd, base, entry, owner, isSymlink(status));
  }

  /**
   * Of a directory, new or found. A found one (`status`) loses the attributes that its entry does not name.
   * @returns what it gets when the layer ends
   */
  directory(parent: Directory, fd: number, base: string, entry: TarEntry, status: FileStatus | undefined): Finish {
    const finish: Finish = timesOf(entry);
    this.#chown(fd, base, status ?? this.#bornAs(parent, fd, base), entry);
    const path = placeOf(fd, base);
    if (status === undefined) this.#attributes.dropInherited(path, parent);
    else this.#attributes.dropOthers(path, entry);
    const defaultAcl = this.#attributes.set(path, entry);
    if (defaultAcl !== undefined) finish.defaultAcl = defaultAcl;
    const now = entry.mode | OWNER_ALL;
    if (now !== entry.mode) finish.mode = entry.mode;
    if (status !== undefined || !this.#isBornWith(now, parent, entry)) this.#chmodDirectory(fd, base, now);
    return finish;
  }

  /** Of a new directory that no entry describes: 0755, ours, and the same times in every run. */
  implied(parent: Directory, fd: number, base: string): Finish {
    this.#attributes.dropInherited(placeOf(fd, base), parent);
    if (parent.inherits) this.#makeOurs(fd, base);
    if (!this.#isBornWith(0o755, parent)) this.#chmodDirectory(fd, base, 0o755);
    return { ...IMPLIED };
  }

  /** Of a directory that was there, but is to be as if it were implied. */
  resetToImplied(fd: number, base: string): Finish {
    this.#attributes.dropOthers(placeOf(fd, base), undefined);
    this.#makeOurs(fd, base);
    this.#chmodDirectory(fd, base, 0o755);
    return { ...IMPLIED };
  }

  /** Of an empty root: owner and attributes stay those that whoever made it gave it. */
  emptyRoot(fd: number): Finish {
    this.#chmodDirectory(fd, ".", 0o755);
    return { ...IMPLIED };
  }

  /** Carries out what `directory` and `implied` put off. The mode comes last, for it may shut the directory. */
  finish(fd: number, base: string, finish: Finish): void {
    const { accessedAt, modifiedAt, mode, defaultAcl } = finish;
    this.#settleDirectory(this.#at.setTimes(fd, base, accessedAt, modifiedAt), "utimensat", base);
    if (defaultAcl !== undefined) this.#attributes.setDefaultAcl(placeOf(fd, base), defaultAcl);
    if (mode !== undefined) this.#chmodDirectory(fd, base, mode);
  }

  #makeOurs(fd: number, base: string): void {
    const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
    if (this.#sameOwner) this.#settleDirectory(this.#at.chown(fd, base, uid, gid), "fchownat", base);
  }

  #chmodDirectory(fd: number, base: string, mode: number): void {
    this.#settleDirectory(this.#at.chmod(fd, base, mode), "fchmodat", base);
  }

  /** A directory that was there before the first layer may belong to somebody else. */
  #settleDirectory(result: number, syscall: string, base: string): void {
    if (result === -EPERM && this.#restricted) {
      this.#tally.warn(`owner, mode or times left out: the directory ${quoteName(base)} belongs to another user`);
    } else {
      must(result, syscall, base);
    }
  }

  #finishNamed(
    directory: Directory | undefined,
    fd: number,
    base: string,
    entry: TarEntry,
    owner: Owner,
    symlink: boolean,
  ): void {
    if (directory?.hasDefaultAcl === true) this.#attributes.dropInherited(placeOf(fd, base), directory);
    if (entry.xattrs !== undefined) this.#attributes.set(placeOf(fd, base), entry);
    const mode = withoutForeignSetId(entry, owner);
    if (!symlink && (directory === undefined || !this.#isBornWith(mode, directory, entry))) {
      must(this.#at.chmod(fd, base, mode), "fchmodat", entry.name);
    }
    const { accessedAt, modifiedAt } = timesOf(entry);
    must(this.#at.setTimes(fd, base, accessedAt, modifiedAt), "utimensat", entry.name);
  }

  /** Whether a new member of the directory that was made with this mode has it. An access list that was set meanwhile changes it. */
  #isBornWith(mode: number, directory: Directory, entry?: TarEntry): boolean {
    return (mode & (this.#umask | 0o7000)) === 0 && !directory.inherits && entry?.xattrs?.has(ACCESS_ACL) !== true;
  }

  /** The owner of what this process makes in the directory; mounts and set-gid directories have their own rules. */
  #bornAs(directory: Directory, fd: number, name: string): Owner {
    if (directory.newUid < 0) {
      const status = this.#at.stat(fd, name);
      if (typeof status === "number") throw systemError(-status, "statx", name);
      directory.newUid = status.uid;
      directory.newGid = status.gid;
    }
    return { uid: directory.newUid, gid: directory.newGid };
  }

  /** @returns the owner that the member has now */
  #chown(fd: number, name: string | undefined, has: Owner, entry: TarEntry): Owner {
    const { uid, gid } = entry;
    if (!this.#sameOwner || (has.uid === uid && has.gid === gid)) return has;
    const key = `${uid}:${gid}`;
    if (!isId(uid) || !isId(gid) || this.#refused.has(key)) return this.#leaveOwner(entry, has);
    const result = name === undefined ? this.#at.fileChown(fd, uid, gid) : this.#at.chown(fd, name, uid, gid);
    if (result >= 0) return entry;
    const code = errnoName(-result);
    // EINVAL: the user namespace has no such user.
    if (code !== "EPERM" && code !== "EINVAL") throw systemError(-result, "fchownat", entry.name);
    if (this.#refused.size < MAX_REFUSED) this.#refused.add(key);
    return this.#leaveOwner(entry, has);
  }

  #leaveOwner(entry: TarEntry, has: Owner): Owner {
    this.#tally.skip(
      "owners",
      () => `owners left out, the first is ${entry.uid}:${entry.gid} of ${quoteName(entry.name)}`,
    );
    return has;
  }
}

/** The path by which calls without an at-form reach a name in an open directory. */
export function placeOf(fd: number, base: string): string {
  return `/proc/self/fd/${fd}/${base}`;
}

/** A program must not run with the rights of a user whom its image did not mean. */
function withoutForeignSetId(entry: TarEntry, has: Owner): number {
  const { mode } = entry;
  if ((mode & SET_ID) === 0) return mode;
  return mode & ~(has.uid === entry.uid ? 0 : SET_UID) & ~(has.gid === entry.gid ? 0 : SET_GID);
}

function isSymlink(status: FileStatus): boolean {
  return (status.mode & 0o170000) === 0o120000;
}

function isId(id: number): boolean {
  return Number.isSafeInteger(id) && id >= 0 && id <= MAX_ID;
}
