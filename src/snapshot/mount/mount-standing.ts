/** Mounts as old kernels make them: one after the other at their places in the tree, by mount(2) if need be. */
import { isVarveError } from "../../errors/varve-error.ts";
import { unmount } from "../../sys/mount.ts";
import { classicMount } from "./classic-mount.ts";
import { lastOf, type Steps } from "./open-all.ts";
import { openMount } from "./open-mount.ts";
import type { ParsedMount } from "./parse-mount.ts";
import { withLoops } from "./with-loops.ts";

/**
 * Whether it is worth trying with what old kernels have: no mounts by descriptors (ENOSYS, or EPERM by a sandbox); EINVAL of an overlay
 * for layers that are mounted nowhere, or for `lowerdir+`. When the file system gives another reason, that is the reason.
 */
export function isForOldKernels(error: unknown, steps: Steps): boolean {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (code === "ENOSYS") return true;
  if (code === "EPERM") return syscall === "fsopen" || syscall === "open_tree";
  if (code !== "EINVAL" || lastOf(steps).mount.type !== "overlay") return false;
  const words = /: overlay: (.*)/s.exec(message)?.[1] ?? "";
  return words === "" || /lowerdir\+|clone/.test(words);
}

/**
 * Those before the last are lazily detached in the end, also when it fails.
 * @param mount puts one mount at a directory. Default: by descriptor if possible
 * @throws NodeJS.ErrnoException; MOUNT_FAILED, FFI_UNAVAILABLE
 */
export async function mountStanding(steps: Steps, target: string, mount = mountAt): Promise<void> {
  const standing: string[] = [];
  try {
    for (const step of steps) {
      await withLoops(step.mount, (parsed) => mount(parsed, step.at ?? target));
      if (step.at !== undefined) standing.unshift(step.at);
    }
  } finally {
    for (const at of standing) await unmount(at, { lazy: true });
  }
}

async function mountAt(mount: ParsedMount, target: string): Promise<void> {
  try {
    using opened = openMount(mount);
    opened.attach(target);
  } catch (error) {
    if (isVarveError(error) || (error as NodeJS.ErrnoException).code === "ENOTBLK") throw error;
    await classicMount(mount, target);
  }
}
