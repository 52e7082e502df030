/** Why a mount failed, for people: the kernel's own words, and what can be done about it. */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { ParsedMount } from "./parse-mount.ts";

/** @param doing for the message: `cannot mount ...` */
export function mountFault(error: unknown, doing: string, type?: ParsedMount["type"]): VarveError {
  if (isVarveError(error, "FFI_UNAVAILABLE")) {
    return new VarveError("DRIVER_UNAVAILABLE", `${doing}: ${error.message}`, { cause: error });
  }
  if (error instanceof VarveError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return new VarveError("INTERNAL", `${doing}: ${String(error)}`, { cause: error });
  const hint = message.includes("too many lower") ? TOO_MANY : hintFor(code, type);
  return new VarveError("MOUNT_FAILED", `${doing}: ${message}`, {
    cause: error,
    detail: { errno: code },
    ...(hint !== undefined && { hint }),
  });
}

const TOO_MANY = "overlayfs takes 500 layers; choose another driver: --snapshotter erofs, or copy";

function hintFor(code: string, type: ParsedMount["type"] | undefined): string | undefined {
  switch (code) {
    case "EPERM":
    case "EACCES":
      return type === "erofs"
        ? "an EROFS is mounted by root only, in no user namespace; choose another driver: --snapshotter overlay"
        : "mounting takes root, or a user namespace of one's own: unshare -Urm";
    case "ENODEV":
      return `this kernel has no ${type ?? "such file system"}`;
    case "ENOTBLK":
      return "this kernel mounts it from block devices only, and there are no loop devices here";
    case "EBUSY":
      return "somebody uses it: a shell that stands in it, an open file, a container; end that, or let go of it lazily";
    case "ENOENT":
      return "a file that the mount needs is missing: varve fsck --repair";
    case "EINVAL":
      return "the kernel's log (dmesg) may say more";
    default:
      return undefined;
  }
}
