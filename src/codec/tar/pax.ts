/**
 * PAX extended headers (POSIX.1-2001 pax, "pax Extended Header"): `<length> <key>=<value>\n` records that override
 * fields of the member after them. An empty value overrides no field, a repeated key counts once, with its last value.
 */
import { decodeName } from "../../sys/path-bytes.ts";
import { invalid, overLimit } from "./fault.ts";
import { parseDecimal, parseTime } from "./number.ts";
import type { Draft } from "./read-header.ts";
import type { TarTime } from "./entry.ts";

const XATTR = "SCHILY.xattr.";
const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

/** The records that matter, still as text: a value is judged only once it is known to be the last of its key. */
export interface PaxRecords {
  readonly values: Map<string, string>;
  readonly xattrs: Map<string, Uint8Array> | undefined;
  /** GNU sparse 0.0 repeats two keys; their values in order: offset, length, offset ... */
  readonly sparseMap: readonly string[] | undefined;
}

/** Keys whose values are kept. Everything else (LIBARCHIVE.*, comment, vendor keys) is checked and dropped, as in Go. */
const KNOWN = new Set(
  (
    "path linkpath size uid gid uname gname mtime atime ctime GNU.sparse.major GNU.sparse.minor GNU.sparse.name " +
    "GNU.sparse.size GNU.sparse.realsize GNU.sparse.numblocks GNU.sparse.map"
  ).split(" "),
);
const NO_NUL = new Set(["path", "linkpath", "uname", "gname", "GNU.sparse.name"]);

/**
 * Reads the records in `bytes[from, to)`; `offset` is where they stand in the archive.
 * @throws LAYER_INVALID when a record is malformed, LAYER_LIMIT when a path has more than `nameBytes` bytes.
 */
export function parsePax(bytes: Buffer, from: number, to: number, offset: number, nameBytes: number): PaxRecords {
  const values = new Map<string, string>();
  let xattrs: Map<string, Uint8Array> | undefined;
  let sparseMap: string[] | undefined;
  for (let at = from; at < to;) {
    const here = offset + at - from;
    const [keyAt, end] = recordBounds(bytes, at, to, here);
    const equals = bytes.indexOf(EQUALS, keyAt);
    if (equals <= keyAt || equals >= end - 1) throw invalid("a PAX record has no key", here);
    const key = decodeKey(bytes, keyAt, equals, here);
    const valueAt = equals + 1;
    at = end;
    if (KNOWN.has(key)) {
      if (end - 1 - valueAt > nameBytes && (key === "path" || key === "linkpath" || key === "GNU.sparse.name")) {
        throw overLimit(`a ${key} of ${end - 1 - valueAt} bytes passes the limit of ${nameBytes}`, here);
      }
      const value = decodeValue(bytes, valueAt, end - 1);
      if (NO_NUL.has(key) && value.includes("\0")) throw invalid(`the PAX ${key} holds a NUL`, here);
      values.set(key, value);
    } else if (key.startsWith(XATTR)) {
      xattrs ??= new Map();
      // Copied, because the chunk is only lent while the entry may be kept.
      xattrs.set(key.slice(XATTR.length), new Uint8Array(bytes.subarray(valueAt, end - 1)));
    } else if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") {
      sparseMap ??= [];
      const expected = sparseMap.length % 2 === 0 ? "GNU.sparse.offset" : "GNU.sparse.numbytes";
      if (key !== expected) throw invalid("the sparse map is out of order", here);
      sparseMap.push(decodeValue(bytes, valueAt, end - 1));
    }
  }
  return { values, xattrs, sparseMap };
}

/** Where the key of the record at `at` starts, and where the record ends (behind its newline). */
function recordBounds(bytes: Buffer, at: number, to: number, offset: number): [keyAt: number, end: number] {
  let length = 0;
  let cursor = at;
  for (; cursor < to && bytes[cursor] !== SPACE; cursor++) {
    const digit = (bytes[cursor] ?? 0) - 0x30;
    if (digit < 0 || digit > 9 || length > to) throw invalid("a PAX record's length is malformed", offset);
    length = length * 10 + digit;
  }
  const end = at + length;
  if (cursor === at || cursor >= to || end > to || end <= cursor + 1 || bytes[end - 1] !== NEWLINE) {
    throw invalid("a PAX record's length is wrong", offset);
  }
  return [cursor + 1, end];
}

function decodeKey(bytes: Buffer, from: number, to: number, offset: number): string {
  const key = decodeName(bytes.subarray(from, to));
  if (key.includes("\0")) throw invalid("a PAX key holds a NUL", offset);
  return key;
}

const decodeValue = (bytes: Buffer, from: number, to: number): string =>
  from === to ? "" : decodeName(bytes.subarray(from, to));

/** Lets the records override the header's fields. @throws LAYER_INVALID when a number or a time is malformed. */
export function mergePax(draft: Draft, pax: PaxRecords, offset: number): void {
  for (const [key, value] of pax.values) {
    if (value === "") continue;
    switch (key) {
      case "path":
        draft.name = value;
        break;
      case "linkpath":
        draft.linkName = value;
        break;
      case "uname":
        draft.userName = value;
        break;
      case "gname":
        draft.groupName = value;
        break;
      case "uid":
        draft.uid = integer(key, value, offset);
        break;
      case "gid":
        draft.gid = integer(key, value, offset);
        break;
      case "size":
        draft.storedSize = integer(key, value, offset);
        break;
      case "mtime":
        draft.modifiedAt = time(key, value, offset);
        break;
      case "atime":
        draft.accessedAt = time(key, value, offset);
        break;
      case "ctime":
        draft.changedAt = time(key, value, offset);
        break;
      default:
    }
  }
  // An empty attribute is one: GNU tar, bsdtar and containerd (which reads Go's `PAXRecords`) set it.
  if (pax.xattrs !== undefined) draft.xattrs = pax.xattrs;
}

function integer(key: string, value: string, offset: number): number {
  const number = parseDecimal(value);
  if (!Number.isSafeInteger(number)) throw invalid(`the PAX ${key} is malformed or absurd`, offset);
  return number;
}

function time(key: string, value: string, offset: number): TarTime {
  const parsed = parseTime(value);
  if (parsed === undefined) throw invalid(`the PAX ${key} is malformed`, offset);
  return parsed;
}
