/** Whether overlays can be written in a directory's file system, and in which form: by mounting one. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { VarveError } from "../../errors/varve-error.ts";
import { must } from "../../sys/errno.ts";
import { xattrCalls } from "../../sys/xattr.ts";
import { overlayOptions } from "../mount/parse-mount.ts";
import { withMounted } from "../with-mounted.ts";

export interface OverlayKind {
  /** Whether marks are `user.overlay.*`, because `trusted.*` is for root outside of user namespaces only. */
  readonly userXattr: boolean;
}

/**
 * Options that every overlay of ours has: no inode index, which would tie an upper directory to one lower one for ever; and where this
 * kernel has them on, no copying of metadata alone and no renaming of lower directories, which would leave references to other layers in
 * the upper one. Unknown options are errors, so what a kernel does not have is not turned off.
 */
export function overlayFlags({ userXattr }: OverlayKind): string[] {
  if (userXattr) return ["index=off", "userxattr"];
  return ["index=off", ...["metacopy", "redirect_dir"].filter(isOn).map((name) => `${name}=off`)];
}

function isOn(parameter: string): boolean {
  try {
    return readFileSync(`/sys/module/overlay/parameters/${parameter}`, "latin1").trim() === "Y";
  } catch {
    return false;
  }
}

/**
 * @param directory an empty one, which is left with things in it
 * @throws VarveError or NodeJS.ErrnoException that says what is missing
 */
export async function tryOverlay(directory: string): Promise<OverlayKind> {
  const kind = kindFor(directory);
  const [lower, other, upper, work] = ["lower", "other", "upper", "work"].map((name) => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  }) as [string, string, string, string];
  writeFileSync(join(lower, "file"), "");
  mkdirSync(join(lower, "directory"));
  const options = overlayOptions({ lower: [lower, other], upper, work }, overlayFlags(kind));
  const use = async (root: string): Promise<void> => {
    rmSync(join(root, "file"));
    rmSync(join(root, "directory"), { recursive: true });
    mkdirSync(join(root, "directory"));
    if (existsSync(join(root, "file"))) throw new VarveError("MOUNT_FAILED", "whiteouts have no effect here");
  };
  await withMounted([{ type: "overlay", source: "overlay", options }], use, { volatile: true });
  return kind;
}

/** Which attributes this process may set here. @throws NodeJS.ErrnoException when there are neither */
export function kindFor(directory: string): OverlayKind {
  const path = join(directory, "marked");
  closeSync(openSync(path, "w"));
  const value = Buffer.from("y");
  if (xattrCalls().set(path, "trusted.overlay.opaque", value) >= 0) return { userXattr: false };
  must(xattrCalls().set(path, "user.overlay.opaque", value), "lsetxattr", "user.overlay.opaque");
  return { userXattr: true };
}
