/**
 * Extended attributes, which `node:fs` lacks. Links are never followed. Names are surrogateescape strings with their namespace
 * (`user.x`); values are bytes and may hold NULs.
 */
import { errnoName, must } from "./errno.ts";
import { bindCall, cString } from "./libc.ts";
import { decodeName } from "./path-bytes.ts";

const MAX_BYTES = 65_536;

interface XattrCalls {
  /** @returns 0 or a negated errno, as the at-calls */
  set(path: string, name: string, value: Uint8Array): number;
  /** The same on an open file (not one opened with `O_PATH`). */
  fileSet(file: number, name: string, value: Uint8Array): number;
  /** The value, or undefined when the file or its file system has no such attribute. @throws NodeJS.ErrnoException */
  get(path: string, name: string): Uint8Array | undefined;
  /** The names, in the file system's order. @throws NodeJS.ErrnoException */
  list(path: string): string[];
  remove(path: string, name: string): number;
}

let calls: XattrCalls | undefined;

/** @throws FFI_UNAVAILABLE where foreign calls are not available */
export function xattrCalls(): XattrCalls {
  return (calls ??= bindXattr());
}

function bindXattr(): XattrCalls {
  const lsetxattr = bindCall("int lsetxattr(const char *, const char *, const void *, size_t, int)");
  const fsetxattr = bindCall("int fsetxattr(int, const char *, const void *, size_t, int)");
  const lgetxattr = bindCall("int64_t lgetxattr(const char *, const char *, void *, size_t)");
  const llistxattr = bindCall("int64_t llistxattr(const char *, void *, size_t)");
  const lremovexattr = bindCall("int lremovexattr(const char *, const char *)");
  const buffer = Buffer.alloc(MAX_BYTES);
  return {
    set: (path, name, value) => lsetxattr(cString(path), cString(name), solid(value), value.byteLength, 0),
    fileSet: (file, name, value) => fsetxattr(file, cString(name), solid(value), value.byteLength, 0),
    get: (path, name) => {
      const length = lgetxattr(cString(path), cString(name), buffer, MAX_BYTES);
      if (length < 0 && isAbsent(length)) return undefined;
      return Uint8Array.from(buffer.subarray(0, must(length, "lgetxattr", path)));
    },
    list: (path) => {
      const length = llistxattr(cString(path), buffer, MAX_BYTES);
      if (length < 0 && isAbsent(length)) return [];
      return splitNames(buffer.subarray(0, must(length, "llistxattr", path)));
    },
    remove: (path, name) => lremovexattr(cString(path), cString(name)),
  };
}

/** An empty array has no address to pass. */
function solid(value: Uint8Array): Uint8Array {
  return value.byteLength === 0 ? Buffer.alloc(1) : value;
}

function isAbsent(result: number): boolean {
  const name = errnoName(-result);
  return name === "ENODATA" || name === "ENOTSUP";
}

function splitNames(list: Uint8Array): string[] {
  const names: string[] = [];
  for (let start = 0; start < list.length;) {
    const end = list.indexOf(0, start);
    names.push(decodeName(list.subarray(start, end)));
    start = end + 1;
  }
  return names;
}
