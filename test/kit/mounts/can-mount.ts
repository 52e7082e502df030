/** Whether this process may mount at all: root, in a machine that lets it. Tests that mount are skipped where it may not. */
import { openFileSystem } from "../../../src/sys/mount.ts";

export function canMount(type = "tmpfs", parameters: Parameters<typeof openFileSystem>[1] = []): boolean {
  try {
    openFileSystem(type, parameters)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}
