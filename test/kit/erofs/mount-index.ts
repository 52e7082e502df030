/** Has the kernel read an index: mounted nowhere, so that nothing is ever left behind. */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeErofs } from "../../../src/codec/erofs/writer.ts";
import { MS_RDONLY, openFileSystem, type OpenMount } from "../../../src/sys/mount.ts";
import { indexNode } from "./tree-of-tar.ts";

/** @param devices the files that the tree's devices are, in their order */
export function mountIndex(index: string, devices: readonly string[] = []): OpenMount {
  const parameters = [index, ...devices].map((value, at) => ({ key: at === 0 ? "source" : "device", value }));
  return openFileSystem("erofs", [...parameters, { key: "ro" }], MS_RDONLY);
}

/** The path of the mount's root as one that is no symbolic link itself. */
export function rootOf(mount: OpenMount): string {
  return `${mount.path}/.`;
}

export function writeChunks(path: string, chunks: Iterable<Uint8Array>): void {
  const file = openSync(path, "wx");
  try {
    for (const chunk of chunks) writeSync(file, chunk);
  } finally {
    closeSync(file);
  }
}

/** Whether the kernel mounts an index straight from a file: Linux 6.12, root, a file system below that it can read from. */
export function canMountIndexes(): boolean {
  const dir = mkdtempSync(join(tmpdir(), "varve-test-"));
  try {
    const index = join(dir, "index");
    writeChunks(index, encodeErofs({ root: indexNode("directory"), devices: [] }, { uuid: new Uint8Array(16) }));
    mountIndex(index)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
