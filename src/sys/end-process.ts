/**
 * Ending the process while a thread of Node's pool is held by a slow disk: `process.exit` joins those threads first, and waits as long
 * as the disk takes. _exit(2) does not. What the kernel itself waits for in a system call still holds the process.
 */
import { bind, ffiAvailable } from "./libc.ts";

/** Returns only where foreign calls are not available. No exit handler runs. */
export function endProcess(code: number): void {
  if (ffiAvailable()) bind("void _exit(int status)")(code);
}
