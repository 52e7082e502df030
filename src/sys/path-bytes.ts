/**
 * File names are bytes, JavaScript strings are UTF-16. This is the one bridge between them: valid UTF-8 becomes the
 * plain string, and a byte that is no part of valid UTF-8 becomes the lone surrogate U+DC00 + byte (0x80 ... 0xFF).
 * It is Python's "surrogateescape" (PEP 383), so every name survives the way to the system call and back. The
 * kernel gives names no encoding at all; Go's engines carry them as bytes too.
 */
import { isUtf8 } from "node:buffer";
import { VarveError } from "../errors/varve-error.ts";

const ESCAPE = 0xdc00;

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The string for a name's bytes; never fails, and `encodeName` gives exactly the same bytes back. */
export function decodeName(bytes: Uint8Array): string {
  const buffer = asBuffer(bytes);
  return isUtf8(buffer) ? buffer.toString("utf8") : decodeBroken(buffer);
}

/** The length of the valid UTF-8 sequence at `at` that is not ASCII, or 0: no overlong forms, no surrogates. */
function sequenceLength(bytes: Uint8Array, at: number): 0 | 2 | 3 | 4 {
  const lead = bytes[at] ?? 0;
  const next = bytes[at + 1] ?? 0;
  const follows = (offset: number): boolean => ((bytes[at + offset] ?? 0) & 0xc0) === 0x80;
  if (lead < 0xc2 || lead > 0xf4 || !follows(1)) return 0;
  if (lead < 0xe0) return 2;
  if (!follows(2)) return 0;
  if (lead < 0xf0) return (lead === 0xe0 && next < 0xa0) || (lead === 0xed && next > 0x9f) ? 0 : 3;
  if (!follows(3)) return 0;
  return (lead === 0xf0 && next < 0x90) || (lead === 0xf4 && next > 0x8f) ? 0 : 4;
}

function decodeBroken(bytes: Buffer): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at] ?? 0;
    const length = byte < 0x80 ? 1 : sequenceLength(bytes, at);
    text += length === 0 ? String.fromCharCode(ESCAPE + byte) : bytes.toString("utf8", at, at + length);
    at += length === 0 ? 1 : length;
  }
  return text;
}

/**
 * The bytes of a name.
 * @throws PATH_INVALID when the string holds a lone surrogate that stands for no byte (it came from no file name).
 */
export function encodeName(name: string): Buffer {
  return name.isWellFormed() ? Buffer.from(name, "utf8") : encodeBroken(name);
}

function encodeBroken(name: string): Buffer {
  const bytes = Buffer.allocUnsafe(name.length * 3);
  let length = 0;
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff) {
      bytes[length++] = code - ESCAPE;
    } else if (code >= 0xd800 && code <= 0xdfff) {
      throw new VarveError("PATH_INVALID", `a name holds the lone surrogate U+${code.toString(16).toUpperCase()}`);
    } else {
      length += bytes.write(character, length, "utf8");
    }
  }
  return bytes.subarray(0, length);
}

/** The name as `node:fs` and foreign functions take it: the string itself, or bytes when it is not plain UTF-8. */
export function systemName(name: string): string | Buffer {
  return name.isWellFormed() ? name : encodeBroken(name);
}

/** How many bytes the name has on disk. */
export function nameLength(name: string): number {
  return name.isWellFormed() ? Buffer.byteLength(name, "utf8") : encodeBroken(name).length;
}
