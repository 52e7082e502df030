/** A snapshot's tree for as long as some work takes, at no place of its own. */
import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenMount } from "../sys/mount.ts";
import { mountAll, unmount } from "./mount-all.ts";
import { isForOldKernels } from "./mount/mount-standing.ts";
import { mountFault } from "./mount/mount-fault.ts";
import { lastOf, openAll, stepsOf } from "./mount/open-all.ts";
import type { Mount } from "./types.ts";

export interface WithMountedOptions {
  /**
   * What is written need not last: nothing waits until the whole file system of an overlay's upper directory is written out, as unmounting
   * does otherwise. Such an overlay cannot be mounted again on the same work directory. Default false.
   */
  readonly volatile?: boolean;
}

/**
 * Mounts, calls `work` with the root's path, unmounts. The path is this process' alone (its threads have it, its children do not); where
 * the kernel cannot do that, it is a directory for temporary files.
 * @throws what `work` throws, and as `mountAll`
 */
export async function withMounted<T>(
  mounts: readonly Mount[],
  work: (root: string) => Promise<T>,
  options: WithMountedOptions = {},
): Promise<T> {
  const steps = stepsOf(mounts);
  let mount;
  try {
    mount = options.volatile === true ? await openVolatile(mounts) : await openAll(steps);
  } catch (error) {
    if (!isForOldKernels(error, steps)) throw mountFault(error, "cannot mount a snapshot", lastOf(steps).mount.type);
    return withStanding(mounts, work);
  }
  using open = mount;
  // With the dot the descriptor's name is not the last one, so that nobody takes it for a symbolic link.
  return await work(`${open.path}/.`);
}

/** Linux has the option since 5.10. */
async function openVolatile(mounts: readonly Mount[]): Promise<OpenMount> {
  const volatile = mounts.map((mount) => {
    return mount.type === "overlay" ? { ...mount, options: [...mount.options, "volatile"] } : mount;
  });
  try {
    return await openAll(stepsOf(volatile));
  } catch {
    return openAll(stepsOf(mounts));
  }
}

async function withStanding<T>(mounts: readonly Mount[], work: (root: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "varve-"));
  try {
    await mountAll(mounts, directory);
    try {
      return await work(directory);
    } finally {
      await unmount(directory, { lazy: true });
    }
  } finally {
    await rmdir(directory);
  }
}
