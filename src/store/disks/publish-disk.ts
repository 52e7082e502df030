/** Whole disks under their names: looking for one, and giving a file that is durable its name. */
import { lstat, mkdir, rename } from "node:fs/promises";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { digestAlgorithm, type Digest } from "../../oci/digest.ts";
import { syncNames } from "../durable.ts";
import type { StepHook } from "../ingest-place.ts";
import type { StoreLayout } from "../layout.ts";
import type { DiskRecords } from "./disk-records.ts";
import type { DiskContent, DiskInfo } from "./types.ts";

/** @returns undefined when there is no such file. @throws VarveError `STORE_CORRUPT` when it is no regular file */
export async function statDisk(path: string, key: Digest): Promise<DiskInfo | undefined> {
  try {
    const found = await lstat(path);
    if (found.isFile()) return { key, path, size: found.size, allocatedBytes: found.blocks * 512 };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw toVarveError(error, `looking for the disk ${key}`);
  }
  throw new VarveError("STORE_CORRUPT", `${path} is not a regular file`, {
    hint: "remove it and pull the image again",
  });
}

export interface PublishOptions {
  readonly layout: StoreLayout;
  readonly records: DiskRecords;
  readonly disk: { readonly key: Digest; readonly size: number };
  /** Of the file: synced and read-only. */
  readonly path: string;
  readonly contents: readonly DiskContent[];
  readonly sync: boolean;
  readonly step: StepHook;
  /** Called when the disk has its name. */
  readonly onNamed?: () => void;
}

/** Records what a disk holds, then moves its file to its place; replaces what is there. The caller holds the key's lock. */
export async function publishDisk({
  layout,
  records,
  disk,
  path,
  contents,
  sync,
  step,
  onNamed,
}: PublishOptions): Promise<void> {
  await records.put(disk, contents);
  step("recorded");
  const directory = layout.diskDirectory(digestAlgorithm(disk.key));
  const made = await mkdir(directory, { recursive: true });
  await rename(path, layout.disk(disk.key));
  onNamed?.();
  step("renamed");
  if (sync) {
    await syncNames(directory);
    if (made !== undefined) await syncNames(layout.disks);
  }
  step("names-synced");
}
