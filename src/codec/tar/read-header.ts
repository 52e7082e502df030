/**
 * One header block, field by field, as its dialect lays it out; extensions are merged in later. Where POSIX leaves a
 * choice this follows Go's archive/tar, because the engines that made and check most images are written in Go.
 */
import { decodeName } from "../../sys/path-bytes.ts";
import { BLOCK, blockSum, FIELD, signedChecksum, sumOfChecksumField, TYPE_FLAG_AT, dialectOf } from "./block.ts";
import type { TarEntry, TarTime } from "./entry.ts";
import { invalid } from "./fault.ts";
import { parseNumber, parseOctal } from "./number.ts";

/** An entry while its headers are still being read. `storedSize` is the size field until the type is known. */
export type Draft = { -readonly [Key in keyof TarEntry]: TarEntry[Key] };

type Field = readonly [offset: number, length: number];

/** The NUL-terminated (or full) text between two positions. */
export function readText(bytes: Buffer, from: number, to: number): string {
  let end = from;
  let bits = 0;
  for (; end < to; end++) {
    const byte = bytes[end] ?? 0;
    if (byte === 0) break;
    bits |= byte;
  }
  if (end === from) return "";
  return bits < 0x80 ? bytes.toString("latin1", from, end) : decodeName(bytes.subarray(from, end));
}

const text = (bytes: Buffer, at: number, field: Field): string =>
  readText(bytes, at + field[0], at + field[0] + field[1]);

/**
 * Checks the block's checksum. Returns false for a block of zeros.
 * @throws LAYER_INVALID when the sum is neither that of unsigned nor of signed bytes.
 */
export function checkBlock(bytes: Buffer, view: DataView, at: number, offset: number): boolean {
  const sum = blockSum(view, at);
  if (sum === 0) return false;
  const wanted = parseOctal(bytes, at + FIELD.checksum[0], FIELD.checksum[1]);
  if (wanted !== sum + sumOfChecksumField(bytes, at) && wanted !== signedChecksum(bytes, at)) {
    throw invalid("the header checksum is wrong", offset);
  }
  return true;
}

/** The fields of the header block at `at`. @throws LAYER_INVALID when a number is malformed. */
export function readHeader(bytes: Buffer, at: number, offset: number): Draft {
  const dialect = dialectOf(bytes, at);
  const number = (field: Field): number => {
    const value = parseNumber(bytes, at + field[0], field[1]);
    if (Number.isNaN(value)) throw invalid(`the number in header field ${field[0]} is malformed`, offset);
    return value;
  };
  const integer = (field: Field): number => {
    const value = number(field);
    if (!Number.isSafeInteger(value)) throw invalid(`the number in header field ${field[0]} is absurd`, offset);
    return value;
  };
  const extended = dialect !== "v7";
  const mode = integer(FIELD.mode);
  const draft: Draft = {
    type: "file",
    name: text(bytes, at, FIELD.name),
    linkName: text(bytes, at, FIELD.linkName),
    mode: mode & 0o7777,
    uid: integer(FIELD.uid),
    gid: integer(FIELD.gid),
    userName: extended ? text(bytes, at, FIELD.userName) : "",
    groupName: extended ? text(bytes, at, FIELD.groupName) : "",
    storedSize: number(FIELD.size),
    size: 0,
    modifiedAt: { seconds: number(FIELD.modifiedAt), nanoseconds: 0 },
    accessedAt: undefined,
    changedAt: undefined,
    deviceMajor: extended ? integer(FIELD.deviceMajor) : 0,
    deviceMinor: extended ? integer(FIELD.deviceMinor) : 0,
    xattrs: undefined,
    sparse: undefined,
    typeFlag: bytes[at + TYPE_FLAG_AT] ?? 0,
    stated: mode === (mode & 0o7777) ? undefined : { mode, linkName: "", size: 0 },
  };
  switch (dialect) {
    case "v7":
      break;
    case "ustar":
      addPrefix(draft, text(bytes, at, FIELD.ustarPrefix));
      break;
    case "star":
      addPrefix(draft, text(bytes, at, FIELD.starPrefix));
      draft.accessedAt = { seconds: number(FIELD.starAccessedAt), nanoseconds: 0 };
      draft.changedAt = { seconds: number(FIELD.starChangedAt), nanoseconds: 0 };
      break;
    case "gnu":
      readGnuTimes(draft, bytes, at);
      break;
  }
  return draft;
}

function addPrefix(draft: Draft, prefix: string): void {
  if (prefix !== "") draft.name = `${prefix}/${draft.name}`;
}

/** GNU headers hold times where ustar has its prefix. Go before 1.8 wrote a prefix there; then it counts as one. */
function readGnuTimes(draft: Draft, bytes: Buffer, at: number): void {
  const accessed = optionalTime(bytes, at, FIELD.gnuAccessedAt);
  const changed = optionalTime(bytes, at, FIELD.gnuChangedAt);
  if (accessed !== null && changed !== null) {
    draft.accessedAt = accessed;
    draft.changedAt = changed;
    return;
  }
  const prefix = text(bytes, at, FIELD.ustarPrefix);
  // oxlint-disable-next-line no-control-regex
  if (/^[\x01-\x7f]*$/.test(prefix)) addPrefix(draft, prefix);
}

/** The time, undefined where there is none, null where there is something else. */
function optionalTime(bytes: Buffer, at: number, field: Field): TarTime | undefined | null {
  if (bytes[at + field[0]] === 0) return undefined;
  const seconds = parseNumber(bytes, at + field[0], field[1]);
  return Number.isNaN(seconds) ? null : { seconds, nanoseconds: 0 };
}

/** An allocated block for a header that arrives in pieces, with the view that summing it needs. */
export function newBlock(): { bytes: Buffer; view: DataView } {
  const bytes = Buffer.alloc(BLOCK);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, BLOCK) };
}
