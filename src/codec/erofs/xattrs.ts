/**
 * Extended attributes behind an inode (`erofs_xattr_ibody_header`, `erofs_xattr_entry`). A name's namespace is a number, and only
 * these have one; what has none cannot be kept.
 */
import { encodeName } from "../../sys/path-bytes.ts";

/** What comes before the entries. */
export const XATTR_HEADER_BYTES = 12;
export const XATTR_ENTRY_BYTES = 4;
/** Of all attributes of one inode: their size is told in units of four, as 16 bits. */
const MAX_REGION_BYTES = XATTR_HEADER_BYTES + 4 * 65_534;
const MAX_VALUE_BYTES = 65_535;
const MAX_SUFFIX_BYTES = 255;

/** Namespaces by their number. Those that do not end with a dot are whole names. */
export const XATTR_NAMESPACES: ReadonlyMap<number, string> = new Map([
  [1, "user."],
  [2, "system.posix_acl_access"],
  [3, "system.posix_acl_default"],
  [4, "trusted."],
  [6, "security."],
]);

/** An attribute in the form that it is stored in. */
export interface StoredXattr {
  readonly namespace: number;
  readonly suffix: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * The attributes as they are stored, by name, so that the same set always gives the same bytes. What cannot be stored (another namespace,
 * a value of 64 KiB, more than 256 KiB in all) is left out and told to `drop`.
 */
export function storedXattrs(
  xattrs: ReadonlyMap<string, Uint8Array>,
  drop?: (name: string) => void,
): readonly StoredXattr[] {
  const stored: StoredXattr[] = [];
  let bytes = XATTR_HEADER_BYTES;
  for (const name of [...xattrs.keys()].sort()) {
    const xattr = storedXattr(name, xattrs.get(name) ?? new Uint8Array());
    if (xattr !== undefined) bytes += entryBytes(xattr);
    if (xattr !== undefined && bytes <= MAX_REGION_BYTES) {
      stored.push(xattr);
    } else {
      if (xattr !== undefined) bytes -= entryBytes(xattr);
      drop?.(name);
    }
  }
  return stored;
}

function storedXattr(name: string, value: Uint8Array): StoredXattr | undefined {
  if (value.length > MAX_VALUE_BYTES || name.includes("\0")) return undefined;
  for (const [namespace, prefix] of XATTR_NAMESPACES) {
    if (!name.startsWith(prefix)) continue;
    const suffix = encodeName(name.slice(prefix.length));
    const fits = prefix.endsWith(".") ? suffix.length > 0 && suffix.length <= MAX_SUFFIX_BYTES : suffix.length === 0;
    return fits ? { namespace, suffix, value } : undefined;
  }
  return undefined;
}

function entryBytes({ suffix, value }: StoredXattr): number {
  return (XATTR_ENTRY_BYTES + suffix.length + value.length + 3) & ~3;
}

/** How many bytes the attributes take behind their inode; 0 for none. */
export function xattrBytes(xattrs: readonly StoredXattr[]): number {
  if (xattrs.length === 0) return 0;
  return xattrs.reduce((sum, xattr) => sum + entryBytes(xattr), XATTR_HEADER_BYTES);
}

/** How an inode tells that many bytes of attributes. */
export function xattrCount(bytes: number): number {
  return bytes === 0 ? 0 : 1 + (bytes - XATTR_HEADER_BYTES) / 4;
}

/** Writes the attributes at `at`, into zeros. */
export function writeXattrs(bytes: Uint8Array, view: DataView, at: number, xattrs: readonly StoredXattr[]): void {
  let next = at + XATTR_HEADER_BYTES;
  for (const xattr of xattrs) {
    const { namespace, suffix, value } = xattr;
    bytes[next] = suffix.length;
    bytes[next + 1] = namespace;
    view.setUint16(next + 2, value.length, true);
    bytes.set(suffix, next + XATTR_ENTRY_BYTES);
    bytes.set(value, next + XATTR_ENTRY_BYTES + suffix.length);
    next += entryBytes(xattr);
  }
}

/** The other way round: how many bytes of attributes an inode's count tells. */
export function xattrRegionBytes(count: number): number {
  return count === 0 ? 0 : XATTR_HEADER_BYTES + (count - 1) * 4;
}
