/** Names in directories: what is one, how long it is, and the order that the kernel searches them in (unsigned bytes, shorter first). */
import { decodeName, encodeName, nameLength } from "../../sys/path-bytes.ts";
import { MAX_NAME_BYTES, MAX_TARGET_BYTES } from "./format.ts";
import { badTree, quoted, unfit } from "./fault.ts";

/** UTF-16 code units from here on sort otherwise than the bytes that they stand for. */
const UNORDERED = /[\ud800-\uffff]/;
const SLASH = 0x2f;

/** Sorts names in place and returns them. */
export function sortNames(names: string[]): string[] {
  names.sort();
  if (!names.some((name) => UNORDERED.test(name))) return names;
  const encoded = names.map(encodeName).sort((a, b) => a.compare(b));
  const sorted = encoded.map(decodeName);
  const twice = sorted.find((name, index) => index > 0 && name === sorted[index - 1]);
  if (twice !== undefined) throw badTree(`${quoted(twice)} is there twice`);
  return sorted;
}

/**
 * How many bytes a name has.
 * @throws INDEX_INVALID when it is none, LAYER_LIMIT when it has more than 255 bytes
 */
export function nameBytes(name: string): number {
  let plain = true;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code === 0 || code === SLASH) throw badTree(`${quoted(name)} is not a name`);
    if (code >= 0x80) plain = false;
  }
  const bytes = plain ? name.length : encodeName(name).length;
  if (bytes === 0) throw badTree("a name is empty");
  if (bytes > MAX_NAME_BYTES)
    throw unfit(`the name ${quoted(name)} has ${bytes} bytes, and ${MAX_NAME_BYTES} are the most`);
  return bytes;
}

/**
 * How many bytes a symbolic link's target has.
 * @throws INDEX_INVALID when it is none, LAYER_LIMIT when it has more than 4095 bytes
 */
export function targetBytes(target: string | undefined): number {
  if (target === undefined || target === "" || target.includes("\0")) throw badTree("a symbolic link leads nowhere");
  const bytes = nameLength(target);
  if (bytes > MAX_TARGET_BYTES)
    throw unfit(`the target of a symbolic link has ${bytes} bytes, and ${MAX_TARGET_BYTES} are the most`);
  return bytes;
}

/** Writes a name of `length` bytes. */
export function writeName(bytes: Uint8Array, at: number, name: string, length: number): void {
  if (length !== name.length) {
    bytes.set(encodeName(name), at);
    return;
  }
  for (let index = 0; index < length; index++) bytes[at + index] = name.charCodeAt(index);
}
