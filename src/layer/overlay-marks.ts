/**
 * How overlayfs marks in a layer's directory what lower layers must not show: a character device 0:0 in the place of a name, and an
 * attribute on a directory (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
 *
 * What the text does not say, seen on Linux 6.18: the kernel leaves whiteouts out of a listing only where it merges several directories, so
 * that one in a directory which no lower layer has, or which is opaque, shows up as a name that cannot be opened; and the attribute is
 * without effect on the root of a layer.
 */
import { constants } from "node:fs";
import type { AtCalls, FileStatus } from "../sys/at.ts";
import { must } from "../sys/errno.ts";
import { xattrCalls } from "../sys/xattr.ts";
import { namesIn } from "./remover.ts";

const YES = Buffer.from("y");

/** Attributes that belong to overlayfs, not to what a directory holds. */
export function isOverlayXattr(name: string): boolean {
  return name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.");
}

export function isWhiteout(status: FileStatus): boolean {
  const { mode, deviceMajor, deviceMinor } = status;
  return (mode & constants.S_IFMT) === constants.S_IFCHR && deviceMajor === 0 && deviceMinor === 0;
}

/** Directories are given by a descriptor, which may be one opened with `O_PATH`. */
export class OverlayMarks {
  readonly #at: AtCalls;
  readonly #opaque: string;

  /** @param userXattr whether the mount will have the option `userxattr` */
  constructor(at: AtCalls, userXattr: boolean) {
    this.#at = at;
    this.#opaque = userXattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
  }

  /** @returns 0 or a negated errno: `-EEXIST` when something has the name */
  makeWhiteout(directory: number, name: string): number {
    return this.#at.mknod(directory, name, constants.S_IFCHR, 0, 0);
  }

  isWhiteout(directory: number, name: string): boolean {
    const status = this.#at.stat(directory, name);
    return typeof status !== "number" && isWhiteout(status);
  }

  /** @throws NodeJS.ErrnoException */
  removeWhiteouts(directory: number): void {
    const names = namesIn(directory).filter((name) => this.isWhiteout(directory, name));
    for (const name of names) must(this.#at.unlink(directory, name), "unlinkat", name);
  }

  /** @throws NodeJS.ErrnoException, ENOTSUP on a file system that cannot keep the mark */
  makeOpaque(directory: number): void {
    must(xattrCalls().set(self(directory), this.#opaque, YES), "lsetxattr", this.#opaque);
  }

  isOpaque(directory: number): boolean {
    const value = xattrCalls().get(self(directory), this.#opaque);
    return value?.byteLength === 1 && value[0] === YES[0];
  }

  unmakeOpaque(directory: number): void {
    xattrCalls().remove(self(directory), this.#opaque);
  }
}

function self(directory: number): string {
  return `/proc/self/fd/${directory}/.`;
}
