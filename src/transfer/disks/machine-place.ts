/** What a word on the command line names that may be an image of the store, a machine's directory or a disk's file. */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { TransferContext } from "../context.ts";
import { openDiskImage, type OpenDiskImage } from "./open-disk-image.ts";

export type MachinePlace =
  | { readonly kind: "image"; readonly opened: OpenDiskImage }
  | { readonly kind: "directory" | "file"; readonly path: string };

/**
 * Images win over files of the same name; `./NAME` is always a file. An image that is found is the caller's to dispose of.
 *
 * @throws VarveError `IMAGE_NOT_FOUND` when there is neither, `FILE_NOT_FOUND` for a path, `PATH_INVALID` when something else is there
 */
export async function machineAt(context: TransferContext, text: string): Promise<MachinePlace> {
  if (/^\.{0,2}\//.test(text) || text === "." || text === "..") return pathAt(resolve(text));
  try {
    return { kind: "image", opened: await openDiskImage(context, text) };
  } catch (error) {
    if (!isVarveError(error, "IMAGE_NOT_FOUND") && !isVarveError(error, "REFERENCE_INVALID")) throw error;
    const isPath = await stat(resolve(text)).catch(() => undefined);
    if (isPath !== undefined) return pathAt(resolve(text));
    throw new VarveError("IMAGE_NOT_FOUND", `there is neither an image nor a file ${JSON.stringify(text)}`, {
      cause: error,
      hint: `varve images lists what the store holds; varve pull ${text} gets it`,
    });
  }
}

async function pathAt(path: string): Promise<MachinePlace> {
  const found = await stat(path).catch((error: unknown) => {
    throw toVarveError(error, `looking at ${path}`);
  });
  if (found.isDirectory()) return { kind: "directory", path };
  if (found.isFile()) return { kind: "file", path };
  throw new VarveError("PATH_INVALID", `${path} is neither a file nor a directory`);
}
