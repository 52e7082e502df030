/** Writes the member that carries PAX records before the member they describe. */
import { encodeName } from "../../sys/path-bytes.ts";
import { BLOCK, FIELD, MAGIC_AT, paddingOf, sealBlock, TYPE_FLAG_AT, USTAR_MAGIC, USTAR_VERSION } from "./block.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { FLAG } from "./member-type.ts";
import { writeOctal } from "./number.ts";

export type PaxRecord = readonly [key: string, value: string | Uint8Array];

/**
 * The whole extension member: header, records, padding. Records are sorted by key, a key counts once with its last
 * value, and `hdrcharset` comes first because it tells how to read the others.
 * @throws LAYER_INVALID when a key holds `=` or NUL, or is empty
 */
export function encodePax(memberName: string, records: readonly PaxRecord[]): Buffer {
  const byKey = new Map(records);
  const keys = [...byKey.keys()].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  const payload = Buffer.concat(keys.map((key) => encodeRecord(key, byKey.get(key) ?? "")));
  const block = Buffer.alloc(BLOCK);
  block.write(headerName(memberName), "latin1");
  for (const field of [FIELD.mode, FIELD.uid, FIELD.gid, FIELD.modifiedAt]) writeOctal(block, field, 0);
  writeOctal(block, FIELD.size, payload.length);
  block[TYPE_FLAG_AT] = FLAG.extendedHeader;
  block.write(USTAR_MAGIC + USTAR_VERSION, MAGIC_AT, "latin1");
  sealBlock(block);
  return Buffer.concat([block, payload, Buffer.alloc(paddingOf(payload.length))]);
}

/** `hdrcharset` sorts before every other key. */
const rank = (key: string): string => (key === "hdrcharset" ? "" : key);

/** Readers without PAX show this as a file; POSIX suggests the member's name in it. */
function headerName(memberName: string): string {
  const base = memberName.replace(/\/+$/, "").replace(/^.*\//s, "");
  return `PaxHeaders.0/${base.replace(/[^\x20-\x7e]/gu, "_")}`.slice(0, FIELD.name[1]);
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function encodeRecord(key: string, value: string | Uint8Array): Buffer {
  if (key === "" || /[=\0]/.test(key)) throw new VarveError("LAYER_INVALID", "a PAX key is empty or holds = or NUL");
  const tail = Buffer.concat([
    Buffer.from(" "),
    encodeName(key),
    Buffer.from("="),
    Buffer.from(value),
    Buffer.from("\n"),
  ]);
  let length = tail.length + 1;
  while (String(length).length + tail.length > length) length++;
  return Buffer.concat([Buffer.from(String(length)), tail]);
}
