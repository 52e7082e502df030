/** The disk that is imported comes into the store's staging: copied, or shared, when it is raw, else made raw on the way. */
import { copyDisk } from "../../disk/copy.ts";
import { convertDisk, foreignDiskSize } from "../../disk/import/convert-disk.ts";
import { diskFormatOf, type DiskFormat } from "../../disk/import/disk-format.ts";
import { openToRead } from "../transports/plain-file.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { StagedDisk } from "../../store/disks/types.ts";
import type { TransferContext } from "../context.ts";
import type { Machine } from "./import-machine.ts";

export interface StageOptions {
  readonly format: DiskFormat | "auto";
  /** Refuses sizes of which no image can be made. */
  readonly checkSize: (bytes: number) => void;
}

export interface Staged extends AsyncDisposable {
  readonly disk: StagedDisk;
  /** What the file was. */
  readonly format: DiskFormat;
  readonly warnings: readonly string[];
}

/** @throws VarveError `FILE_NOT_FOUND`, `PATH_INVALID`, `DISK_UNREADABLE`, `SOURCE_CHANGED`, `NO_SPACE`; what `checkSize` throws */
export async function stageDisk(
  context: TransferContext,
  machine: Machine,
  { format: asked, checkSize }: StageOptions,
): Promise<Staged> {
  const { store, signal, onProgress } = context;
  const path = machine.disk;
  const length = await lengthOf(path);
  // What Tart calls a sparse image stays what it is, whatever it begins with.
  const format = asked !== "auto" ? asked : machine.diskFormat === "raw" ? await diskFormatOf(path) : "raw";
  if (format === "raw") checkSize(length);
  else checkSize(await foreignDiskSize({ path, format }, { signal }));
  await using stack = new AsyncDisposableStack();
  const disk = stack.use(await store.disks.stage());
  const warnings: string[] = [];
  if (format === "raw") {
    const tell: typeof onProgress = (event) => onProgress(event.type === "disk" ? { ...event, path } : event);
    const copied = await copyDisk(path, disk.path, { signal, sync: false, onProgress: tell }).catch(
      (error: unknown) => {
        throw ofStore(error, disk.path);
      },
    );
    warnings.push(...copied.warnings.map((warning) => warning.replaceAll(disk.path, "its copy in the store")));
  } else {
    await convertDisk({ path, format }, disk.path, { signal, onProgress: (share) => tellConverted(share) });
  }
  const owned = stack.move();
  return { disk, format, warnings, [Symbol.asyncDispose]: () => owned.disposeAsync() };

  function tellConverted(share: number): void {
    const [done, total] = [Math.round(share * length), length];
    const phase = done < total ? "copying" : "done";
    onProgress({ type: "disk", path, phase, done, total, copied: done, bytesPerSecond: 0, etaSeconds: null });
  }
}

/** What is wrong with the copy is so with the store. */
function ofStore(error: unknown, path: string): unknown {
  if (!isVarveError(error, "NO_SPACE") && !isVarveError(error, "STORE_READ_ONLY")) return error;
  const message = error.message.replaceAll(path, "the store");
  return new VarveError(error.code, message, { cause: error, detail: error.detail });
}

async function lengthOf(path: string): Promise<number> {
  await using file = await openToRead(path);
  const found = await file.stat();
  if (found.isFile()) return found.size;
  throw new VarveError("PATH_INVALID", `${path} is no regular file`, { hint: "name a disk image, a plain file" });
}
