/** Files of a machine that are no disks: NVRAM, kernel and the like, from their blobs, verified as they pass. */
import { open } from "node:fs/promises";
import { toVarveError } from "../../errors/from-system.ts";
import type { TransferContext } from "../context.ts";
import type { ImageSource } from "../transports/types.ts";
import type { MachineFile } from "./machine-files.ts";

/**
 * Makes the file, durably.
 * @returns its bytes
 * @throws VarveError `DIGEST_MISMATCH`, `BLOB_UNKNOWN`, `NO_SPACE`, `IO` ...; the signal's reason
 */
export async function writeSmall(
  { signal }: Pick<TransferContext, "signal">,
  source: ImageSource,
  file: Exclude<MachineFile, { kind: "disk" }>,
  path: string,
): Promise<number> {
  try {
    await using handle = await open(path, "wx");
    if (file.kind === "bytes") await handle.writeFile(file.bytes);
    else for await (const bytes of source.blob(file.blob, signal)) await handle.writeFile(bytes);
    await handle.sync();
    return file.kind === "bytes" ? file.bytes.length : file.blob.size;
  } catch (error) {
    signal.throwIfAborted();
    throw toVarveError(error, `writing ${file.name}`);
  }
}
