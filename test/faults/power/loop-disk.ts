/** A file system of its own in a file, which can lose power: what was not synced is gone at the next mount. Needs root. */
import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { runOk } from "../../kit/peers/run.ts";

export interface FileSystemKind {
  readonly name: string;
  readonly program: string;
  readonly make: readonly string[];
  readonly size: string;
  /** mount(8) */
  readonly options: string;
}

/**
 * ext4 twice: as it comes, and with all that it does for careless programs turned off (data may be written after the names that point
 * to it, a rename forces nothing out, nothing is written but what is synced).
 */
export const FILE_SYSTEMS: readonly FileSystemKind[] = [
  { name: "ext4", program: "mkfs.ext4", make: ["-q", "-F"], size: "64M", options: "loop,commit=300" },
  {
    name: "ext4, data=writeback",
    program: "mkfs.ext4",
    make: ["-q", "-F"],
    size: "64M",
    options: "loop,commit=300,data=writeback,noauto_da_alloc",
  },
  { name: "xfs", program: "mkfs.xfs", make: ["-q", "-f"], size: "320M", options: "loop,nouuid" },
];

export async function makeFileSystem(kind: FileSystemKind, image: string): Promise<void> {
  await runOk("truncate", ["-s", kind.size, image]);
  await runOk(kind.program, [...kind.make, image]);
}

export interface Mounted extends AsyncDisposable {
  readonly path: string;
}

export async function mountImage(kind: FileSystemKind, image: string, path: string): Promise<Mounted> {
  await mkdir(path, { recursive: true });
  await runOk("mount", ["-o", kind.options, image, path]);
  return { path, [Symbol.asyncDispose]: async () => void (await runOk("umount", [path])) };
}

/** Whether this machine lets us do all that; a reason when it does not. */
export function missingFor(kind: FileSystemKind): string | undefined {
  if (process.getuid?.() !== 0) return "only root may mount";
  return spawnSync(kind.program, ["-V"]).error === undefined ? undefined : `${kind.program} is not installed`;
}
