/**
 * Makes everything on a path's file system durable with one call: a tree of 100,000 files takes one syncfs(2), not 100,000
 * fsyncs. Runs on a thread of the pool, for it may take seconds.
 */
import { execFile } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { promisify } from "node:util";
import { systemError } from "./errno.ts";
import { bindAsync, ffiAvailable } from "./libc.ts";
import { constants as system } from "node:os";

let syncfs: ((...args: unknown[]) => Promise<number>) | undefined;

/** @throws NodeJS.ErrnoException when the path cannot be opened or data could not be written out */
export async function syncFileSystem(path: string): Promise<void> {
  const file = openSync(path, constants.O_RDONLY);
  try {
    if (process.platform !== "linux" || !ffiAvailable()) {
      await promisify(execFile)("sync", process.platform === "linux" ? ["-f", path] : []);
      return;
    }
    syncfs ??= bindAsync("int syncfs(int)");
    // The errno stays on the pool's thread, and asking again would find the error already reported: EIO is what it is.
    if ((await syncfs(file)) < 0) throw systemError(system.errno.EIO, "syncfs", path);
  } finally {
    closeSync(file);
  }
}
