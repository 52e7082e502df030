/**
 * Names as numbers: rows of an index are compared by hashes of their paths and of their last components, so that no name need be read. What
 * collides costs a look at content that is another one's, never a wrong answer.
 */
import { encodeName } from "../../sys/path-bytes.ts";

const SLASH = 0x2f;
const DOT = 0x2e;
const BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

export interface NameHash {
  /** Of the path without `/` or `./` in front and `/` at its end; 32 bits. */
  path: number;
  /** Of its last component. */
  base: number;
}

/** @param into is written; it may be used again for the next name */
export function hashName(name: string, into: NameHash): NameHash {
  let end = name.length;
  while (end > 0 && name.charCodeAt(end - 1) === SLASH) end--;
  let path = BASIS;
  let base = BASIS;
  for (let at = firstOf(name, end); at < end; at++) {
    const code = name.charCodeAt(at);
    if (code >= 0x80) return hashBytes(encode(name.slice(firstOf(name, end), end)), into);
    path = Math.imul(path ^ code, PRIME);
    base = code === SLASH ? BASIS : Math.imul(base ^ code, PRIME);
  }
  into.path = mixed(path);
  into.base = mixed(base);
  return into;
}

/** Two numbers as one, for tables. */
export function combine(hash: number, size: number): number {
  return mixed(Math.imul(hash ^ ((size % 0x1_0000_0000) | 0), PRIME) ^ Math.floor(size / 0x1_0000_0000));
}

function hashBytes(bytes: Uint8Array, into: NameHash): NameHash {
  let path = BASIS;
  let base = BASIS;
  for (const code of bytes) {
    path = Math.imul(path ^ code, PRIME);
    base = code === SLASH ? BASIS : Math.imul(base ^ code, PRIME);
  }
  into.path = mixed(path);
  into.base = mixed(base);
  return into;
}

function firstOf(name: string, end: number): number {
  let at = 0;
  while (at < end) {
    if (name.charCodeAt(at) === SLASH) at++;
    else if (name.charCodeAt(at) === DOT && name.charCodeAt(at + 1) === SLASH && at + 1 < end) at += 2;
    else break;
  }
  return at;
}

/** A table of contents may hold strings that no file can have as its name. */
function encode(name: string): Uint8Array {
  try {
    return encodeName(name);
  } catch {
    return Buffer.from(name, "utf8");
  }
}

/** The finish of MurmurHash3: FNV's low bits alone would crowd tables. */
function mixed(hash: number): number {
  let value = hash ^ (hash >>> 16);
  value = Math.imul(value, 0x85ebca6b);
  value ^= value >>> 13;
  value = Math.imul(value, 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
