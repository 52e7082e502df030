/** Whether this process may mount at all: root, in a machine that lets it. Tests that mount are skipped where it may not. */
import { fileURLToPath } from "node:url";
import { attachLoop } from "../../../src/sys/loop.ts";
import { openFileSystem } from "../../../src/sys/mount.ts";

export function canMount(type = "tmpfs", parameters: Parameters<typeof openFileSystem>[1] = []): boolean {
  try {
    openFileSystem(type, parameters)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

export function canLoop(): boolean {
  try {
    attachLoop(fileURLToPath(import.meta.url))[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}
