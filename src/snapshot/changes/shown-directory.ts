/** Which directories a driver's mounts are made of, for who reads them without mounting. */
import { VarveError } from "../../errors/varve-error.ts";
import { parseMount } from "../mount/parse-mount.ts";
import type { Mount } from "../types.ts";

export interface Shown {
  /** The directory that is shown, or that lies on top of the others. */
  readonly directory: string;
  /** Whether others show through it. */
  readonly isOverlay: boolean;
  /** Whether the overlay's marks are `user.overlay.*`. */
  readonly userXattr: boolean;
}

/** @param mounts of the overlay or the copy driver, or of an active snapshot of the EROFS driver */
export function shownBy(mounts: readonly Mount[]): Shown {
  const last = mounts.at(-1);
  const mount = last && parseMount(last);
  if (mount?.type === "bind") return { directory: mount.source, isOverlay: false, userXattr: false };
  const directory = mount?.type === "overlay" ? (mount.upper ?? mount.lower[0]) : undefined;
  if (directory === undefined) throw new VarveError("INTERNAL", "a snapshot is mounted from no directory");
  return { directory, isOverlay: true, userXattr: last?.options.includes("userxattr") === true };
}
