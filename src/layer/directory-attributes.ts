/** All attributes of a directory at once: as another one has them, or as a directory has them that no layer describes. */
import type { AtCalls } from "../sys/at.ts";
import { errnoName, must, systemError } from "../sys/errno.ts";
import { xattrCalls } from "../sys/xattr.ts";
import { isOverlayXattr } from "./overlay-marks.ts";
import { privileges } from "./privileges.ts";
import { EPOCH } from "./times.ts";

/** What is refused to one who is not root of the machine, or by a security module. */
const REFUSED: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EINVAL"]);

/** Both are open directories, also ones opened with `O_PATH`. @throws NodeJS.ErrnoException */
export function copyAttributes(at: AtCalls, from: number, to: number): void {
  const status = at.stat(from, "");
  if (typeof status === "number") throw systemError(-status, "statx");
  const { uid, gid, mode, accessedAt, modifiedAt } = status;
  chown(at, to, uid, gid);
  copyXattrs(from, to);
  must(at.chmod(to, ".", mode & 0o7777), "fchmodat");
  must(at.setTimes(to, ".", accessedAt, modifiedAt), "utimensat");
}

/** 0755, this process' own, the times of 1970: as `Metadata.implied`. @throws NodeJS.ErrnoException */
export function resetAttributes(at: AtCalls, to: number): void {
  chown(at, to, process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
  for (const name of ownXattrs(to)) xattrCalls().remove(self(to), name);
  must(at.chmod(to, ".", 0o755), "fchmodat");
  must(at.setTimes(to, ".", EPOCH, EPOCH), "utimensat");
}

function chown(at: AtCalls, to: number, uid: number, gid: number): void {
  const result = at.chown(to, ".", uid, gid);
  if (result < 0 && !isRefused(result)) throw systemError(-result, "fchownat");
}

function copyXattrs(from: number, to: number): void {
  const calls = xattrCalls();
  const wanted = new Map(ownXattrs(from).map((name) => [name, calls.get(self(from), name)]));
  for (const name of ownXattrs(to)) if (!wanted.has(name)) calls.remove(self(to), name);
  for (const [name, value] of wanted) {
    if (value === undefined) continue;
    const result = calls.set(self(to), name, value);
    const optional = errnoName(-result) === "ENOTSUP" || name.startsWith("security.") || isRefused(result);
    if (result < 0 && !optional) throw systemError(-result, "lsetxattr", name);
  }
}

function isRefused(result: number): boolean {
  return REFUSED.has(errnoName(-result)) && privileges().restricted;
}

function ownXattrs(directory: number): string[] {
  return xattrCalls()
    .list(self(directory))
    .filter((name) => !isOverlayXattr(name));
}

function self(directory: number): string {
  return `/proc/self/fd/${directory}/.`;
}
