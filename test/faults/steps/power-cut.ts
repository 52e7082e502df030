/**
 * A power cut for one file system: the ioctl that Linux' own crash tests use (`EXT4_IOC_SHUTDOWN`, `XFS_IOC_GOINGDOWN`). From this moment
 * nothing reaches the device any more: not a page of data, not a record of the journal that no fsync has asked for. The next mount
 * recovers the file system as after a loss of power. With `logFlush` the journal is written first and the data is not: names and sizes
 * are new, content is not.
 *
 * What it does not model: a device that loses what it has acknowledged, and writes that the kernel made on its own before (which only
 * keep more). A file system that syncs one file may make other files' names durable as well, more than POSIX asks of it.
 */
import { closeSync, openSync } from "node:fs";
import { bind } from "../../../src/sys/libc.ts";

/** `_IOR('X', 125, __u32)`, the same for ext4 and XFS. */
const SHUTDOWN = 0x8004_587d;
const FLUSH_LOG = 1;
const FLUSH_NOTHING = 2;

export function powerCut(path: string, { logFlush }: { readonly logFlush: boolean }): void {
  const fd = openSync(path, "r");
  const ioctl = bind("int ioctl(int, uint64_t, void *)");
  if (ioctl(fd, SHUTDOWN, Uint32Array.of(logFlush ? FLUSH_LOG : FLUSH_NOTHING)) !== 0) {
    throw new Error(`the file system at ${path} cannot be shut down`);
  }
  closeSync(fd);
}
