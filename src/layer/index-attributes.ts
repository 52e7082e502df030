/**
 * Which extended attributes a node in memory gets from an entry: those that attributes.ts would set and the kernel would keep, with the
 * same errors (checked against Linux 6.18 on ext4).
 */
import type { IndexType } from "../codec/erofs/tree.ts";
import type { TarEntry } from "../codec/tar/entry.ts";
import { VarveError } from "../errors/varve-error.ts";
import { nameLength } from "../sys/path-bytes.ts";
import { ACCESS_ACL, DEFAULT_ACL } from "./attributes.ts";
import { overLimit, type ApplyLimits } from "./limits.ts";
import { quoteName } from "./names.ts";
import { isMode, isValidAcl, readAcl, writeAcl } from "./posix-acl.ts";
import type { Tally } from "./report.ts";

export const CAPABILITY = "security.capability";
const MAX_NAME_BYTES = 255;
const CAPABILITY_EFFECTIVE = 1;

/** What the kernel does with an attribute: keeps it, keeps nothing, or answers an errno. */
type Outcome = Uint8Array | undefined | string;

export class IndexAttributes {
  readonly #tally: Tally;
  readonly #limits: Required<ApplyLimits>;

  constructor(tally: Tally, limits: Required<ApplyLimits>) {
    this.#tally = tally;
    this.#limits = limits;
  }

  /**
   * @param type of the node; that of the entry may be a link
   * @returns a map of its own; an attribute that the kernel would take away is there as undefined
   * @throws LAYER_INVALID, LAYER_LIMIT, PERMISSION
   */
  of(entry: TarEntry, type: IndexType): Map<string, Uint8Array | undefined> | undefined {
    const { xattrs } = entry;
    if (xattrs === undefined) return undefined;
    const { xattrs: most, xattrBytes } = this.#limits;
    if (xattrs.size > most) throw overLimit("extended attributes of one member", most);
    const kept = new Map<string, Uint8Array | undefined>();
    for (const [name, value] of xattrs) {
      if (value.byteLength > xattrBytes) throw overLimit("bytes in an extended attribute", xattrBytes);
      const outcome = name.startsWith("trusted.") || name.startsWith("user.overlay.") ? "" : keep(name, value, type);
      if (typeof outcome !== "string") kept.set(name, outcome);
      else this.#settle(outcome, name, entry);
    }
    return kept;
  }

  #settle(errno: string, name: string, entry: TarEntry): void {
    const why = errno === "" ? "" : ` (${errno})`;
    // A default ACL waits for the end of the layer, and is not insisted on.
    const late = name === DEFAULT_ACL && entry.type === "directory";
    if (late || errno === "" || errno === "ENOTSUP" || errno === "EPERM") {
      this.#tally.skip(
        "xattrs",
        () => `extended attributes left out, the first is ${quoteName(name)} of ${quoteName(entry.name)}${why}`,
      );
      return;
    }
    const code = errno === "EACCES" ? "PERMISSION" : "LAYER_INVALID";
    const what = `extended attribute ${quoteName(name)} of ${quoteName(entry.name)}`;
    throw new VarveError(code, `the system refuses the ${what}: ${errno}`);
  }
}

function keep(name: string, value: Uint8Array, type: IndexType): Outcome {
  if (name === "" || (name.length * 3 > MAX_NAME_BYTES && nameLength(name) > MAX_NAME_BYTES)) return "ERANGE";
  if (name.startsWith("user.")) {
    if (type !== "file" && type !== "directory") return "EPERM";
    return name === "user." ? "EINVAL" : value;
  }
  if (name.startsWith("security.")) {
    if (name === CAPABILITY) return capability(value);
    return name === "security." ? "EINVAL" : value;
  }
  if (name === ACCESS_ACL || name === DEFAULT_ACL) return acl(name, value, type);
  return "ENOTSUP";
}

/** `validheader` of security/commoncap.c: version 2, or version 3 with the root that it is for. */
function capability(value: Uint8Array): Outcome {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const version = value.byteLength < 4 ? 0 : view.getUint32(0, true) & ~CAPABILITY_EFFECTIVE;
  const valid = value.byteLength === 20 ? version === 0x0200_0000 : value.byteLength === 24 && version === 0x0300_0000;
  return valid ? value : "EINVAL";
}

function acl(name: string, value: Uint8Array, type: IndexType): Outcome {
  const entries = readAcl(value);
  if (entries === "EINVAL") return entries;
  if (entries === "EOPNOTSUPP" || type === "symlink") return "ENOTSUP";
  if (name === DEFAULT_ACL && type !== "directory") return entries.length === 0 ? undefined : "EACCES";
  if (entries.length === 0) return undefined;
  if (!isValidAcl(entries)) return "EINVAL";
  return name === ACCESS_ACL && isMode(entries) ? undefined : writeAcl(entries);
}
