/** One ustar header block, and as PAX records all that it cannot hold. */
import { VarveError } from "../../errors/varve-error.ts";
import { encodeName } from "../../sys/path-bytes.ts";
import { BLOCK, FIELD, MAGIC_AT, TYPE_FLAG_AT, USTAR_MAGIC, USTAR_VERSION } from "./block.ts";
import type { TarEntry } from "./entry.ts";
import type { PaxRecord } from "./encode-pax.ts";
import { quoted } from "./fault.ts";
import { FLAG } from "./member-type.ts";
import { formatTime, writeNumber, writeOctal } from "./number.ts";

/** An entry with all defaults filled in. `payloadBytes`: what the size field counts, a sparse map included. */
export type Writable = Omit<TarEntry, "storedSize" | "typeFlag" | "changedAt" | "stated"> & {
  readonly payloadBytes: number;
};

type Field = readonly [offset: number, length: number];

export function refusal(entry: Writable, why: string): VarveError {
  return new VarveError("LAYER_INVALID", `cannot write the tar header of ${quoted(entry.name)}: ${why}`);
}

/** A block with what is alike in all formats: magic, type, mode and device numbers. */
export function newHeader(entry: Writable, magic = USTAR_MAGIC + USTAR_VERSION): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(magic, MAGIC_AT, "latin1");
  block[TYPE_FLAG_AT] = FLAG[entry.type];
  writeOctal(block, FIELD.mode, entry.mode & 0o7777);
  // PAX has no key for device numbers; every reader takes base-256 there.
  const fits =
    writeNumber(block, FIELD.deviceMajor, entry.deviceMajor) &&
    writeNumber(block, FIELD.deviceMinor, entry.deviceMinor);
  if (!fits) throw refusal(entry, "a device number is out of range");
  return block;
}

/** Puts text into a field, cut to its length. A cut name loses its slashes: old readers would see a directory. */
export function putText(block: Buffer, field: Field, bytes: Uint8Array): void {
  let length = Math.min(bytes.length, field[1]);
  if (length < bytes.length) while (length > 0 && bytes[length - 1] === 0x2f) length--;
  block.set(bytes.subarray(0, length), field[0]);
}

/** Fills in what fits, and returns what does not. */
export function fillUstar(block: Buffer, entry: Writable): PaxRecord[] {
  const records: PaxRecord[] = [];
  const text = (key: string, value: string, field: Field, room: number): void => {
    const bytes = encodeName(value);
    // PAX values are UTF-8 by definition, header fields just bytes: other encodings stay in the field while they can.
    if (bytes.length <= room && (isAscii(value) || !value.isWellFormed())) {
      putText(block, field, bytes);
      return;
    }
    if (!value.isWellFormed()) records.push(["hdrcharset", "BINARY"]);
    records.push([key, bytes]);
    putText(block, field, Buffer.from(value.replace(/[^\x20-\x7e]/gu, "_"), "latin1").subarray(0, room + 1));
  };
  const number = (key: string, value: number, field: Field): void => {
    if (writeOctal(block, field, value)) return;
    records.push([key, String(value)]);
    writeOctal(block, field, 0);
  };

  const split = splitPath(entry.name);
  if (split === undefined) text("path", entry.name, FIELD.name, FIELD.name[1]);
  else {
    putText(block, FIELD.ustarPrefix, Buffer.from(split.prefix));
    putText(block, FIELD.name, Buffer.from(split.rest));
  }
  text("linkpath", entry.linkName, FIELD.linkName, FIELD.linkName[1]);
  text("uname", entry.userName, FIELD.userName, FIELD.userName[1] - 1);
  text("gname", entry.groupName, FIELD.groupName, FIELD.groupName[1] - 1);
  number("uid", entry.uid, FIELD.uid);
  number("gid", entry.gid, FIELD.gid);
  number("size", entry.payloadBytes, FIELD.size);
  number("mtime", entry.modifiedAt.seconds, FIELD.modifiedAt);
  if (entry.modifiedAt.nanoseconds !== 0) records.push(["mtime", formatTime(entry.modifiedAt)]);
  if (entry.accessedAt !== undefined) records.push(["atime", formatTime(entry.accessedAt)]);
  for (const [name, value] of entry.xattrs ?? []) records.push([`SCHILY.xattr.${name}`, value]);
  if (entry.sparse !== undefined) records.push(...sparseRecords(entry));
  return records;
}

function sparseRecords(entry: Writable): PaxRecord[] {
  return [
    ["GNU.sparse.major", "1"],
    ["GNU.sparse.minor", "0"],
    ["GNU.sparse.name", encodeName(entry.name)],
    ["GNU.sparse.realsize", String(entry.size)],
  ];
}

// oxlint-disable-next-line no-control-regex
const isAscii = (text: string): boolean => /^[\x01-\x7f]*$/.test(text);

/** Splits a long name for the prefix field at the last slash that leaves both halves short enough. */
function splitPath(name: string): { prefix: string; rest: string } | undefined {
  const [room, prefixRoom] = [FIELD.name[1], FIELD.ustarPrefix[1]];
  if (name.length <= room || !isAscii(name)) return undefined;
  // A slash at the very end stays with the last component, whose name must not be empty.
  const slash = name.lastIndexOf("/", Math.min(prefixRoom, name.length - 2));
  if (slash <= 0 || name.length - slash - 1 > room) return undefined;
  return { prefix: name.slice(0, slash), rest: name.slice(slash + 1) };
}
