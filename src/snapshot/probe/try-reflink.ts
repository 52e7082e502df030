/** Whether two files of a directory's file system can share their content. */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reflink } from "../../sys/reflink.ts";

/** @param directory where files can be made, which are left there */
export function tryReflink(directory: string): boolean {
  const [from, to] = [join(directory, "from"), join(directory, "to")];
  // Some file systems share whole blocks only.
  writeFileSync(from, Buffer.alloc(65_536, "x"));
  const [source, target] = [openSync(from, "r"), openSync(to, "wx")];
  try {
    return reflink(source, target);
  } finally {
    closeSync(source);
    closeSync(target);
  }
}
