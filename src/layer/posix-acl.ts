/**
 * POSIX access control lists in the form of the kernel's extended attributes (`struct posix_acl_xattr_header`, fs/posix_acl.c): what the
 * kernel makes of a list that is set, and of one whose file gets a mode. All numbers are little-endian.
 */
const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const NOBODY = 0xffff_ffff;

const USER_OBJ = 0x01;
const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;

export interface AclEntry {
  readonly tag: number;
  /** `rwx` bits. */
  readonly permissions: number;
  /** Of a named user or group. */
  readonly id: number;
}

/** Reads a list; one without entries is none. Returns the errno's name where the kernel turns it down at the door. */
export function readAcl(value: Uint8Array): readonly AclEntry[] | "EINVAL" | "EOPNOTSUPP" {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.byteLength < HEADER_BYTES) return "EINVAL";
  if (view.getUint32(0, true) !== VERSION) return "EOPNOTSUPP";
  if ((value.byteLength - HEADER_BYTES) % ENTRY_BYTES !== 0) return "EINVAL";
  const entries: AclEntry[] = [];
  for (let at = HEADER_BYTES; at < value.byteLength; at += ENTRY_BYTES) {
    const tag = view.getUint16(at, true);
    const named = tag === USER || tag === GROUP;
    const id = named ? view.getUint32(at + 4, true) : NOBODY;
    if (named ? id === NOBODY : ![USER_OBJ, GROUP_OBJ, MASK, OTHER].includes(tag)) return "EINVAL";
    entries.push({ tag, permissions: view.getUint16(at + 2, true), id });
  }
  return entries;
}

/** Whether the entries are in order and complete (`posix_acl_valid`). */
export function isValidAcl(entries: readonly AclEntry[]): boolean {
  const text = entries.map(({ tag }) => LETTERS.get(tag) ?? "?").join("");
  return entries.every(({ permissions }) => permissions <= 7) && /^u(?:U*gG*mo|go)$/.test(text);
}

const LETTERS = new Map([
  [USER_OBJ, "u"],
  [USER, "U"],
  [GROUP_OBJ, "g"],
  [GROUP, "G"],
  [MASK, "m"],
  [OTHER, "o"],
]);

/** Whether an access list says no more than a mode does; then the kernel keeps none. */
export function isMode(entries: readonly AclEntry[]): boolean {
  return entries.every(({ tag }) => tag === USER_OBJ || tag === GROUP_OBJ || tag === OTHER);
}

/** An access list after chmod: the mode's group bits are the mask, where there is one. */
export function withMode(entries: readonly AclEntry[], mode: number): AclEntry[] {
  const group = entries.some(({ tag }) => tag === MASK) ? MASK : GROUP_OBJ;
  const shifts = new Map([
    [USER_OBJ, 6],
    [group, 3],
    [OTHER, 0],
  ]);
  return entries.map((entry) => {
    const shift = shifts.get(entry.tag);
    return shift === undefined ? entry : { ...entry, permissions: (mode >> shift) & 7 };
  });
}

export function writeAcl(entries: readonly AclEntry[]): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + ENTRY_BYTES * entries.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  entries.forEach(({ tag, permissions, id }, index) => {
    const at = HEADER_BYTES + ENTRY_BYTES * index;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, permissions, true);
    view.setUint32(at + 4, id, true);
  });
  return bytes;
}
