/** GNU tar's own format: long names in `L` and `K` members, wide numbers in base-256, no xattrs, whole seconds. */
import { encodeName } from "../../sys/path-bytes.ts";
import { FIELD, GNU_MAGIC, paddingOf, sealBlock, TYPE_FLAG_AT } from "./block.ts";
import { newHeader, putText, refusal, type Writable } from "./encode-ustar.ts";
import { FLAG } from "./member-type.ts";
import { writeNumber } from "./number.ts";

/** All header blocks of the member. @throws LAYER_INVALID when the format cannot hold it */
export function encodeGnu(entry: Writable): Buffer {
  const unfit = whyNot(entry);
  if (unfit !== undefined) throw refusal(entry, `the GNU format has no place for ${unfit}`);
  const name = encodeName(entry.name);
  const linkName = encodeName(entry.linkName);
  const block = newHeader(entry, GNU_MAGIC);
  putText(block, FIELD.name, name);
  putText(block, FIELD.linkName, linkName);
  putText(block, FIELD.userName, encodeName(entry.userName));
  putText(block, FIELD.groupName, encodeName(entry.groupName));
  const fits =
    writeNumber(block, FIELD.uid, entry.uid) &&
    writeNumber(block, FIELD.gid, entry.gid) &&
    writeNumber(block, FIELD.size, entry.payloadBytes) &&
    writeNumber(block, FIELD.modifiedAt, entry.modifiedAt.seconds) &&
    (entry.accessedAt === undefined || writeNumber(block, FIELD.gnuAccessedAt, entry.accessedAt.seconds));
  if (!fits) throw refusal(entry, "a number is out of range");
  sealBlock(block);
  return Buffer.concat([...longText(FLAG.longName, name), ...longText(FLAG.longLink, linkName), block]);
}

function whyNot(entry: Writable): string | undefined {
  if (entry.sparse !== undefined) return "a sparse map (use PAX)";
  if (entry.xattrs !== undefined && entry.xattrs.size > 0) return "extended attributes";
  if (entry.modifiedAt.nanoseconds !== 0) return "fractions of a second";
  if (entry.accessedAt !== undefined && entry.accessedAt.nanoseconds !== 0) return "fractions of a second";
  const room = FIELD.userName[1] - 1;
  const tooLong = encodeName(entry.userName).length > room || encodeName(entry.groupName).length > room;
  return tooLong ? "so long a user or group name" : undefined;
}

/** The extension member for a name that fills its field; GNU tar counts the NUL at the end. */
function longText(flag: number, text: Buffer): Buffer[] {
  if (text.length <= FIELD.name[1]) return [];
  const size = text.length + 1;
  const carrier: Writable = {
    type: "file",
    name: "././@LongLink",
    linkName: "",
    mode: 0,
    uid: 0,
    gid: 0,
    userName: "root",
    groupName: "root",
    size,
    payloadBytes: size,
    modifiedAt: { seconds: 0, nanoseconds: 0 },
    accessedAt: undefined,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: undefined,
    sparse: undefined,
  };
  const block = encodeGnu(carrier);
  block[TYPE_FLAG_AT] = flag;
  sealBlock(block);
  return [block, text, Buffer.alloc(1 + paddingOf(size))];
}
