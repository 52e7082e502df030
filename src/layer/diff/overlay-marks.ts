/**
 * How an overlay's upper directory says what is gone ("Overlay Filesystem" in the kernel's documentation, "whiteouts and opaque
 * directories"): a character device 0:0 in the place of what was removed, or an empty file that is marked so in a directory that is
 * marked to have such files; a directory that is marked opaque hides all that is below it. A directory that was renamed, or a file of
 * which only the metadata was copied up, has its content elsewhere.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { quoteName } from "../names.ts";
import type { Attributes } from "./attributes.ts";
import type { Entry } from "./entry.ts";

const OPAQUE = "y".charCodeAt(0);
const HAS_MARKED_WHITEOUTS = "x".charCodeAt(0);

export function marksPrefix(userXattr: boolean): string {
  return userXattr ? "user.overlay." : "trusted.overlay.";
}

/** Nothing below shows through. */
export function isOpaque({ marks }: Attributes): boolean {
  return marks.get("opaque")?.[0] === OPAQUE;
}

/** Empty files in the directory may be whiteouts. */
export function hasMarkedWhiteouts({ marks }: Attributes): boolean {
  return marks.get("opaque")?.[0] === HAS_MARKED_WHITEOUTS;
}

export function isWhiteoutDevice({ type, status }: Entry): boolean {
  return type === "char" && status.deviceMajor === 0 && status.deviceMinor === 0;
}

export function isMarkedWhiteout({ type, status }: Entry, { marks }: Attributes): boolean {
  return type === "file" && status.size === 0 && marks.has("whiteout");
}

/** What a layer cannot hold, so that it is as if it were not there: sockets, and what overlays take for whiteouts. */
export function isIgnored(entry: Entry): boolean {
  return entry.type === "socket" || isWhiteoutDevice(entry);
}

/** @throws VarveError `SNAPSHOT_STATE` when the entry's content lies elsewhere */
export function refuseRedirects(path: string, { marks }: Attributes): void {
  const found = ["redirect", "metacopy"].find((mark) => marks.has(mark));
  if (found === undefined) return;
  const option = found === "redirect" ? "redirect_dir" : found;
  throw new VarveError("SNAPSHOT_STATE", `${quoteName(path)} refers to content of a layer below (overlay.${found})`, {
    hint: `it was written through an overlay mount with ${option}=on; mount with ${option}=off`,
    detail: { path, mark: found },
  });
}
