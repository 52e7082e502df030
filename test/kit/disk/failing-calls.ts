/** The system calls of a copy, some of which fail or do less than they were asked for. */
import { constants } from "node:os";
import { COPY_CALLS, type CopyCalls } from "../../../src/disk/copy-calls.ts";
import { systemError } from "../../../src/sys/errno.ts";

export type Errno = keyof typeof constants.errno;

export function failure(errno: Errno): NodeJS.ErrnoException {
  return systemError(constants.errno[errno], "test");
}

/**
 * The given call fails with `errno` the `nth` time it is made, and each time after that; from 1.
 * @param times how often it fails. Default: always
 */
export function failingCalls(name: keyof CopyCalls, errno: Errno, nth = 1, times = Infinity): CopyCalls {
  let made = 0;
  const original = COPY_CALLS[name] as (...args: unknown[]) => unknown;
  const failing = (...args: unknown[]): unknown => {
    made += 1;
    if (made < nth || made >= nth + times) return original(...args);
    const error = failure(errno);
    // Those that answer at once throw at once.
    if (name === "tellsHoles" || name === "dataExtents" || name === "writeNow") throw error;
    return Promise.reject(error);
  };
  return { ...COPY_CALLS, [name]: failing };
}

/** Reads and writes move at most this many bytes. */
export function shortCalls(most: number): CopyCalls {
  return {
    ...COPY_CALLS,
    read: (file, into, at, length, position) => COPY_CALLS.read(file, into, at, Math.min(most, length), position),
    write: (file, from, at, length, position) => COPY_CALLS.write(file, from, at, Math.min(most, length), position),
    writeNow: (file, from, at, length, position) =>
      COPY_CALLS.writeNow(file, from, at, Math.min(most, length), position),
  };
}
