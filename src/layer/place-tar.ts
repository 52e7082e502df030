/**
 * Gives a layer that was unpacked over a tar that lies elsewhere (`LayerTarget.tar`) that tar as its own: the same file under a second
 * name where the file system has such a thing, so that no byte is written twice. Neither name is ever written to again.
 */
import { chmod, constants, copyFile, link, rm } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { FILES } from "./index-facts.ts";

/** What file systems say that have no second names, or not here, or no more of them. */
const NO_LINK: ReadonlySet<string | undefined> = new Set([
  "EXDEV",
  "EPERM",
  "EMLINK",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
]);

/** @param tar finished, and read-only @throws VarveError `NO_SPACE`, `PERMISSION`, `IO` */
export async function placeTar(tar: string, directory: string): Promise<void> {
  const to = join(directory, FILES.tar);
  try {
    await rm(to, { force: true });
    try {
      await link(tar, to);
    } catch (error) {
      if (!NO_LINK.has((error as NodeJS.ErrnoException).code)) throw error;
      await copyFile(tar, to, constants.COPYFILE_FICLONE);
      await chmod(to, 0o444);
    }
  } catch (error) {
    throw toVarveError(error, `giving the layer in ${directory} its tar`);
  }
}
