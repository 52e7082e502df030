/** A directory for one test in which things get mounted: all of it is unmounted before it is removed. */
import { readMountInfo } from "../../../src/sys/mount-info.ts";
import { tempDir, type TempDir } from "../temp-dir.ts";
import { unmountBelow } from "../unmount-below.ts";

export async function mountDir(): Promise<TempDir> {
  const dir = await tempDir("varve-mount-");
  return {
    path: dir.path,
    [Symbol.asyncDispose]: async () => {
      await unmountBelow(dir.path);
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Where something is mounted at or below this directory, in order of mounting. */
export function mountsBelow(dir: string): string[] {
  const points = readMountInfo().map(({ target }) => target);
  return points.filter((point) => point === dir || point.startsWith(`${dir}/`));
}
