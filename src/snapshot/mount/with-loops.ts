/**
 * EROFS from a file where it can be, through loop devices where it cannot (ENOTBLK: a kernel before 6.12, or an index on a tmpfs, an
 * overlay or another EROFS). Index and devices are then all loop devices, with sectors no greater than the 512 bytes of a block.
 */
import { release } from "node:os";
import { attachLoop } from "../../sys/loop.ts";
import type { ParsedMount } from "./parse-mount.ts";

/**
 * Makes the mount by `make`, and once more with loop devices when that is the way.
 * @throws what `make` throws; NodeJS.ErrnoException when there are no loop devices
 */
export async function withLoops<T>(mount: ParsedMount, make: (mount: ParsedMount) => T | Promise<T>): Promise<T> {
  if (mount.type !== "erofs") return make(mount);
  if (!needsLoops(release())) {
    try {
      return await make(mount);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTBLK") throw error;
    }
  }
  // The mount keeps the devices; they go away with it.
  using stack = new DisposableStack();
  const loop = (path: string): string => stack.use(attachLoop(path)).path;
  return await make({ ...mount, source: loop(mount.source), devices: mount.devices.map(loop) });
}

/** Blocks smaller than a page, mounted from a file, bring these two down (CVE-2024-56750). */
export function needsLoops(release: string): boolean {
  return /^6\.12\.[01](?!\d)/.test(release) || /^6\.12(?![.\d])/.test(release);
}
