/**
 * Extended attributes of a member. Engines on overlay file systems keep their own marks in `trusted.*` and `user.overlay.*`; a
 * layer that could set them would plant whiteouts and redirects, so they are left out.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { TarEntry } from "../codec/tar/entry.ts";
import type { AtCalls } from "../sys/at.ts";
import { errnoName, systemError } from "../sys/errno.ts";
import { xattrCalls } from "../sys/xattr.ts";
import type { Directory } from "./directory.ts";
import { overLimit, type ApplyLimits } from "./limits.ts";
import { quoteName } from "./names.ts";
import type { Tally } from "./report.ts";

export const DEFAULT_ACL = "system.posix_acl_default";
export const ACCESS_ACL = "system.posix_acl_access";

export interface AttributesOptions {
  readonly limits: Required<ApplyLimits>;
  readonly restricted: boolean;
}

export class Attributes {
  readonly #at: AtCalls;
  readonly #tally: Tally;
  readonly #options: AttributesOptions;

  constructor(at: AtCalls, tally: Tally, options: AttributesOptions) {
    this.#at = at;
    this.#tally = tally;
    this.#options = options;
  }

  /**
   * Sets the entry's attributes on what stands at a path of the form `/proc/self/fd/<n>/<name>`.
   * @returns the default ACL, which a directory gets when it is complete
   */
  set(path: string, entry: TarEntry): Uint8Array | undefined {
    const { xattrs } = entry;
    if (xattrs === undefined) return undefined;
    const { limits } = this.#options;
    if (xattrs.size > limits.xattrs) throw overLimit("extended attributes of one member", limits.xattrs);
    let defaultAcl: Uint8Array | undefined;
    for (const [name, value] of xattrs) {
      if (value.byteLength > limits.xattrBytes) throw overLimit("bytes in an extended attribute", limits.xattrBytes);
      if (!this.#at.native || name.startsWith("trusted.") || name.startsWith("user.overlay.")) {
        this.#leaveOut(name, entry);
      } else if (name === DEFAULT_ACL && entry.type === "directory") {
        defaultAcl = Uint8Array.from(value);
      } else {
        this.#settle(xattrCalls().set(path, name, value), name, entry);
      }
    }
    return defaultAcl;
  }

  setDefaultAcl(path: string, value: Uint8Array): void {
    const result = xattrCalls().set(path, DEFAULT_ACL, value);
    if (result < 0) this.#tally.skip("xattrs", () => `default ACL left out: ${errnoName(-result)}`);
  }

  /** Takes away what a directory with a default ACL gives to each new member. */
  dropInherited(path: string, directory: Directory): void {
    if (!directory.hasDefaultAcl) return;
    xattrCalls().remove(path, ACCESS_ACL);
    xattrCalls().remove(path, DEFAULT_ACL);
  }

  /**
   * A directory entry replaces the attributes of the directory that it finds. Where labels are the system's, it keeps them itself. The
   * default ACL goes in any case: the entry's comes when the directory is complete, and nothing must inherit the old one meanwhile.
   */
  dropOthers(path: string, entry: TarEntry | undefined): void {
    if (!this.#at.native) return;
    for (const name of xattrCalls().list(path)) {
      if (entry?.xattrs?.has(name) !== true || name === DEFAULT_ACL) xattrCalls().remove(path, name);
    }
  }

  #settle(result: number, name: string, entry: TarEntry): void {
    if (result >= 0) return;
    const code = errnoName(-result);
    if (code === "ENOTSUP" || this.#mayRefuse(code, name, entry)) return this.#leaveOut(name, entry, code);
    const what = `extended attribute ${quoteName(name)} of ${quoteName(entry.name)}`;
    if (code !== "EINVAL" && code !== "ERANGE" && code !== "E2BIG") throw systemError(-result, "lsetxattr", what);
    throw new VarveError("LAYER_INVALID", `the system refuses the ${what}: ${code}`);
  }

  #mayRefuse(code: string, name: string, entry: TarEntry): boolean {
    if (this.#options.restricted) return code === "EPERM" || code === "EACCES" || code === "EINVAL";
    if (code !== "EPERM") return false;
    const plain = entry.type === "file" || entry.type === "directory";
    return name.startsWith("security.") || (name.startsWith("user.") && !plain);
  }

  #leaveOut(name: string, entry: TarEntry, code?: string): void {
    const why = code === undefined ? "" : ` (${code})`;
    this.#tally.skip(
      "xattrs",
      () => `extended attributes left out, the first is ${quoteName(name)} of ${quoteName(entry.name)}${why}`,
    );
  }
}
