/** A small file system of its own at a directory, for tests of what happens when it is full or read-only. Needs root. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";

export interface Tmpfs extends Disposable {
  makeReadOnly(): void;
  grow(size: string): void;
}

/** Undefined where this process may not mount. @param size as mount(8) takes it: `2m` */
export function mountTmpfs(directory: string, size: string): Tmpfs | undefined {
  mkdirSync(directory, { recursive: true });
  if (spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory]).status !== 0) return undefined;
  const remount = (option: string): void => {
    const { status, stderr } = spawnSync("mount", ["-o", `remount,${option}`, directory]);
    if (status !== 0) throw new Error(stderr.toString());
  };
  return {
    makeReadOnly: () => remount("ro"),
    grow: (size) => remount(`size=${size}`),
    [Symbol.dispose]: () => void spawnSync("umount", ["-l", directory]),
  };
}
