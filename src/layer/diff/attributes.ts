/**
 * Extended attributes as a layer has them. Overlay file systems keep their own marks among them ("Overlay Filesystem" in the kernel's
 * documentation), which say what a directory of changes means and are no part of the content; labels of the machine's security
 * module are not the image's either.
 */
import { xattrCalls } from "../../sys/xattr.ts";
import { placeOf } from "../metadata.ts";

const NONE: ReadonlyMap<string, Uint8Array> = new Map();

/** Given by the machine, or meaningful on one file system only. */
const MACHINE: ReadonlySet<string> = new Set(["security.selinux", "security.evm", "system.nfs4_acl"]);

export interface Attributes {
  /** Those that a layer may carry, by name. */
  readonly content: ReadonlyMap<string, Uint8Array>;
  /** What an overlay noted under the prefix that was asked for, the prefix left off. */
  readonly marks: ReadonlyMap<string, Uint8Array>;
}

/**
 * @param prefix of the marks, such as `trusted.overlay.`; undefined where there can be none
 * @throws FFI_UNAVAILABLE, NodeJS.ErrnoException
 */
export function readAttributes(directory: number, name: string, prefix: string | undefined): Attributes {
  const place = placeOf(directory, name);
  const calls = xattrCalls();
  const names = calls.list(place);
  if (names.length === 0) return { content: NONE, marks: NONE };
  const content = new Map<string, Uint8Array>();
  const marks = new Map<string, Uint8Array>();
  for (const attribute of names.sort()) {
    const mark = prefix !== undefined && attribute.startsWith(prefix);
    if (!mark && !isContent(attribute)) continue;
    const value = calls.get(place, attribute);
    if (value === undefined) continue;
    if (mark) marks.set(attribute.slice(prefix.length), value);
    else content.set(attribute, value);
  }
  return { content, marks };
}

/** Whether a layer may carry an attribute. */
export function isContent(name: string): boolean {
  return !name.startsWith("trusted.") && !name.startsWith("user.overlay.") && !MACHINE.has(name);
}

export function sameAttributes(a: ReadonlyMap<string, Uint8Array>, b: ReadonlyMap<string, Uint8Array>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) {
    const other = b.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return false;
  }
  return true;
}
