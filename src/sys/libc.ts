/**
 * The C library of this process through koffi: the one door to what `node:fs` lacks. The shared object is loaded at the first
 * call and never by an import, because it costs about 10 ms of a start-up that most commands should not pay.
 * The symbols come from the running program itself, so glibc, musl and macOS need no library name.
 */
import { createRequire } from "node:module";
import { constants as system } from "node:os";
import type * as KoffiModule from "koffi";
import { VarveError } from "../errors/varve-error.ts";
import { systemName } from "./path-bytes.ts";

type Koffi = typeof KoffiModule;

/** A C function. Pointers to memory are passed as typed arrays, C strings as what `cString` gives. */
export type Foreign = (...args: unknown[]) => number;

interface Library {
  readonly koffi: Koffi;
  readonly handle: KoffiModule.LibraryHandle;
}

let library: Library | undefined;
let failure: unknown;
let disabled = process.env["VARVE_NO_FFI"] === "1";

function open(): Library | undefined {
  if (disabled) return undefined;
  if (library !== undefined || failure !== undefined) return library;
  try {
    const koffi = createRequire(import.meta.url)("koffi") as Koffi;
    library = { koffi, handle: koffi.load(null) };
  } catch (error) {
    failure = error;
  }
  return library;
}

/** Whether foreign calls can be made: koffi has a build for this machine and `VARVE_NO_FFI=1` is not set. */
export function ffiAvailable(): boolean {
  return open() !== undefined;
}

/** Runs without foreign calls until disposed, as on a machine that koffi has no build for. */
export function withoutFfi(): Disposable {
  const before = disabled;
  disabled = true;
  return {
    [Symbol.dispose]: () => {
      disabled = before;
    },
  };
}

/**
 * Binds a function by its C prototype, for example `int flock(int, int)`. Only fixed parameters: a variadic function is
 * declared with the types it is called with, which Linux' calling conventions take alike.
 * @throws FFI_UNAVAILABLE when koffi cannot be loaded or the C library lacks the symbol.
 */
export function bind(prototype: string): Foreign {
  const { handle } = opened(prototype);
  try {
    return handle.func(prototype);
  } catch (cause) {
    throw new VarveError("FFI_UNAVAILABLE", `the C library has no ${prototype}`, { cause });
  }
}

/** What the runtime's own locks leave in errno, and what no call on files that we make ends with. */
const NOT_OURS: ReadonlySet<number> = new Set([0, system.errno.EINTR, system.errno.EAGAIN, system.errno.ETIMEDOUT]);
const MAX_ASKS = 8;

/**
 * As `bind`, for calls that tell of failure by a negative number: what comes back is 0 or more, or a negated errno, as from the kernel.
 * Between a call and the reading of its errno the runtime may do other things on this thread and leave their errno there (seen: EAGAIN
 * from lgetxattr, once in millions of calls). A call that failed changed nothing, so it is made again when that seems to have happened. Not for calls that
 * are to say EAGAIN.
 */
export function bindCall(prototype: string): Foreign {
  const call = bind(prototype);
  return (...args) => {
    const value = call(...args);
    if (value >= 0) return value;
    let errno = lastErrno();
    for (let asked = 1; NOT_OURS.has(errno) && asked < MAX_ASKS; asked++) {
      const again = call(...args);
      if (again >= 0) return again;
      errno = lastErrno();
    }
    return -errno;
  };
}

/** As `bind`, for calls that take long: they run on a thread of the pool. Their errno cannot be read. */
export function bindAsync(prototype: string): (...args: unknown[]) => Promise<number> {
  const { handle } = opened(prototype);
  const started = handle.func(prototype).async as (...args: unknown[]) => void;
  return (...args) =>
    new Promise((resolve, reject) => {
      started(...args, (error: unknown, value: number) => (error === null ? resolve(value) : reject(error)));
    });
}

function opened(what: string): Library {
  const found = open();
  if (found !== undefined) return found;
  throw new VarveError("FFI_UNAVAILABLE", `foreign calls are not available: ${what}`, { cause: failure });
}

/** The errno that the last foreign call left; read it before anything else runs. */
export function lastErrno(): number {
  return opened("errno").koffi.errno();
}

/** Where bytes lie, for structures that point to others. Holds nothing: the caller keeps them for as long as the address is in use. */
export function memoryAddress(bytes: Uint8Array): bigint {
  return opened("address").koffi.address(bytes);
}

/** A name as a C string: the string itself, or NUL-terminated bytes when it is not plain UTF-8. */
export function cString(name: string): string | Uint8Array {
  const system = systemName(name);
  return typeof system === "string" ? system : Buffer.concat([system, Buffer.of(0)]);
}
