/**
 * Files as read-only block devices: loop(4). For file systems that a kernel mounts from a block device only. The device goes away by
 * itself when its last user does (`LO_FLAGS_AUTOCLEAR`), so nothing is left behind by whoever dies.
 */
import { closeSync, constants, openSync } from "node:fs";
import { endianness } from "node:os";
import { basename } from "node:path";
import { errnoName, must, systemError } from "./errno.ts";
import { bind, lastErrno, type Foreign } from "./libc.ts";
import { encodeName, systemName } from "./path-bytes.ts";

const LOOP_CTL_GET_FREE = 0x4c82;
/** Since Linux 5.8: the file, its flags and the sector size in one step. */
const LOOP_CONFIGURE = 0x4c0a;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
const LITTLE = endianness() === "LE";

/** struct loop_config: fd, block_size, struct loop_info64, reserved. */
const CONFIG_BYTES = 304;
const INFO = 8;
const INFO_FLAGS = INFO + 52;
const INFO_FILE_NAME = INFO + 56;
const FILE_NAME_BYTES = 63;

/** Others look for free devices too; each try that loses to one of them has let that one win. */
const MAX_TRIES = 1000;

export interface LoopDevice extends Disposable {
  /** `/dev/loop<n>`; it stays until this is disposed of and nothing that is mounted uses it. */
  readonly path: string;
}

let number: Foreign | undefined;
let pointer: Foreign | undefined;

/**
 * Makes a loop device with sectors of 512 bytes; what the file has beyond its last whole sector is not in it.
 * @throws NodeJS.ErrnoException, ENOENT or EACCES where there are no loop devices; FFI_UNAVAILABLE
 */
export function attachLoop(path: string): LoopDevice {
  const file = openSync(systemName(path), constants.O_RDONLY);
  try {
    const config = configOf(file, path);
    for (let tries = 1; ; tries += 1) {
      const device = `/dev/loop${freeNumber()}`;
      const fd = openSync(device, constants.O_RDONLY);
      const result = configure(fd, config);
      if (result >= 0) return { path: device, [Symbol.dispose]: () => closeSync(fd) };
      closeSync(fd);
      if (errnoName(-result) !== "EBUSY" || tries === MAX_TRIES) throw systemError(-result, "LOOP_CONFIGURE", path);
    }
  } finally {
    closeSync(file);
  }
}

function configOf(file: number, path: string): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  const config = new DataView(bytes.buffer);
  config.setUint32(0, file, LITTLE);
  config.setUint32(4, 512, LITTLE);
  config.setUint32(INFO_FLAGS, LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR, LITTLE);
  bytes.set(encodeName(basename(path)).subarray(0, FILE_NAME_BYTES), INFO_FILE_NAME);
  return bytes;
}

function freeNumber(): number {
  const ioctl = (number ??= bind("int ioctl(int, unsigned long, int64_t)"));
  const control = openSync("/dev/loop-control", constants.O_RDWR);
  try {
    const found = ioctl(control, LOOP_CTL_GET_FREE, 0);
    return must(found < 0 ? -lastErrno() : found, "LOOP_CTL_GET_FREE");
  } finally {
    closeSync(control);
  }
}

function configure(device: number, config: Uint8Array): number {
  const ioctl = (pointer ??= bind("int ioctl(int, unsigned long, const void *)"));
  return ioctl(device, LOOP_CONFIGURE, config) < 0 ? -lastErrno() : 0;
}
