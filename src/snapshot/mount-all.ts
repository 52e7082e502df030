/**
 * Carries out what a driver says is to be mounted. Where the kernel can (Linux 6.15) the mounts that only serve a later one are nowhere
 * in the tree at any time, so that nothing is left of them whenever this process dies; elsewhere they stand at their own directories
 * until the last one stands, and are lazily detached then: an overlay has clones of the mounts that its layers are on.
 *
 * Set-uid programs and devices work in what is mounted, as containerd has it: an image is the root of a container, whose runtime
 * decides about both.
 */
import { lstatSync, type Stats } from "node:fs";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { unmount as unmountPath } from "../sys/mount.ts";
import { systemName } from "../sys/path-bytes.ts";
import { mountFault } from "./mount/mount-fault.ts";
import { isForOldKernels, mountStanding } from "./mount/mount-standing.ts";
import { lastOf, openAll, stepsOf } from "./mount/open-all.ts";
import type { Mount } from "./types.ts";

/**
 * Mounts at a directory, over what is there. When it fails, nothing is left mounted.
 * @throws MOUNT_FAILED with what the kernel said; FILE_NOT_FOUND, PATH_INVALID when the target is no directory itself, a symbolic
 * link for one; DRIVER_UNAVAILABLE without foreign calls
 */
export async function mountAll(mounts: readonly Mount[], target: string): Promise<void> {
  mustBeDirectory(target);
  const steps = stepsOf(mounts);
  try {
    try {
      using mount = await openAll(steps);
      mount.attach(target);
    } catch (error) {
      if (!isForOldKernels(error, steps)) throw error;
      await mountStanding(steps, target);
    }
  } catch (error) {
    throw mountFault(error, `cannot mount ${lastOf(steps).mount.type} at ${target}`, lastOf(steps).mount.type);
  }
}

/**
 * Ends what `mountAll` has mounted at a directory.
 * @param options.lazy also while it is in use: it is out of sight at once and ends with its last user. Default false
 * @throws MOUNT_FAILED when nothing is mounted there, or it is in use
 */
export async function unmount(target: string, options: { readonly lazy?: boolean } = {}): Promise<void> {
  try {
    await unmountPath(target, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EINVAL") {
      throw new VarveError("MOUNT_FAILED", `nothing is mounted at ${target}`, { cause: error, hint: "check the path" });
    }
    throw mountFault(error, `cannot unmount ${target}`);
  }
}

/** @throws FILE_NOT_FOUND, PATH_INVALID, PERMISSION when nothing can be mounted there */
export function mustBeDirectory(target: string): void {
  const status = statusOf(target);
  if (status === undefined) {
    throw new VarveError("FILE_NOT_FOUND", `nothing can be mounted at ${target}: there is no such directory`, {
      hint: "make the directory first",
    });
  }
  if (status.isDirectory()) return;
  const what = status.isSymbolicLink() ? "a symbolic link" : "no directory";
  throw new VarveError("PATH_INVALID", `nothing is mounted at ${target}: it is ${what}`);
}

/** Undefined when there is nothing. */
function statusOf(target: string): Stats | undefined {
  try {
    return lstatSync(systemName(target));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw toVarveError(error, `looking for ${target}`);
  }
}
