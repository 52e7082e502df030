/** What this process may do to a tree, read once: who it is, what its umask takes away, whether its root is a real one. */
import { readFileSync } from "node:fs";

export interface Privileges {
  readonly uid: number;
  /** Not root, or root of a user namespace only: owners, devices and attributes may be refused without anything being wrong. */
  readonly restricted: boolean;
  /** 0o777 when it is not known: every mode is then set explicitly. */
  readonly umask: number;
}

export function privileges(): Privileges {
  const uid = process.geteuid?.() ?? 0;
  return { uid, restricted: uid !== 0 || !mapsAllIds(), umask: umask() };
}

/** Read from /proc, since `process.umask()` is not to be had in worker threads without setting it for all. */
function umask(): number {
  const found = /^Umask:\s*([0-7]+)$/m.exec(read("/proc/self/status"));
  return found?.[1] === undefined ? 0o777 : Number.parseInt(found[1], 8);
}

function mapsAllIds(): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(read("/proc/self/uid_map"));
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
