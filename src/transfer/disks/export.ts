/**
 * The use case "disk export": the directory of a virtual machine, as the program had it that made the image, or its disk alone. Disks are shared
 * with the store where the file system can, and take no more space than their data elsewhere.
 */
import { join, resolve } from "node:path";
import type { DiskImage } from "../../codec/tart/disk-image.ts";
import type { DiskCopy } from "../../disk/copy-report.ts";
import { FreshDirectory } from "../../disk/fresh-directory.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { DiskInfo } from "../../store/disks/types.ts";
import type { TransferContext } from "../context.ts";
import { machineFiles } from "./machine-files.ts";
import { copyOut, totalOf, type CopiedDisks, type CopyOutOptions } from "./copy-out.ts";
import { diskFile } from "./disk-file.ts";
import { openDiskImage, type ImageDisk, type OpenDiskImage } from "./open-disk-image.ts";
import { writeSmall } from "./write-small.ts";

export interface ExportOptions extends CopyOutOptions {
  /** Whether files that are in the directory may be replaced. Default false: it has to be empty, or not to exist. */
  readonly force?: boolean;
}

export interface ExportDiskOptions extends CopyOutOptions {
  /** Which disk, of a machine that has several. Default: the only one. */
  readonly disk?: string;
}

export interface ExportResult extends CopiedDisks {
  /** The name under which the store has it. */
  readonly image: string;
  readonly digest: Digest;
  readonly format: DiskImage["format"];
  /** The directory, or the file of a disk alone. */
  readonly target: string;
  readonly files: readonly { readonly name: string; readonly size: number }[];
  readonly durationMs: number;
}

/**
 * Makes the directory of an image's machine. It appears whole or not at all; files of one that is there appear whole, the configuration last.
 *
 * @param name of an image in the store
 * @throws VarveError `IMAGE_NOT_FOUND`, `MEDIA_TYPE_UNSUPPORTED` when it is no machine's, `TARGET_NOT_EMPTY`, `BLOB_UNKNOWN` when a disk is not
 * held, `NO_SPACE`, `COPY_DIFFERS` ...; the signal's reason
 */
export async function exportMachine(
  context: TransferContext,
  name: string,
  directory: string,
  options: ExportOptions = {},
): Promise<ExportResult> {
  const started = performance.now();
  const { force = false } = options;
  await using opened = await openDiskImage(context, name);
  const files = machineFiles(opened);
  const held = new Map<Digest, DiskInfo>();
  for (const disk of opened.disks) held.set(disk.key, await diskFile(context, opened, disk));
  await using fresh = await FreshDirectory.create(resolve(directory), { replaces: force });
  const disks: DiskCopy[] = [];
  const sizes: { name: string; size: number }[] = [];
  for (const file of files) {
    context.signal.throwIfAborted();
    const path = join(fresh.path, file.name);
    if (file.kind === "disk") {
      const shown = join(fresh.target, file.name);
      const copied = await copyOut(context, held.get(file.disk.key)!.path, { path, shown }, options);
      disks.push(copied);
      sizes.push({ name: file.name, size: copied.logicalBytes });
    } else {
      sizes.push({ name: file.name, size: await writeSmall(context, opened.source, file, path) });
    }
  }
  context.signal.throwIfAborted();
  await fresh.publish(files.map((file) => file.name));
  return report(opened, fresh.target, { disks, files: sizes, durationMs: performance.now() - started });
}

/**
 * Copies a machine's disk alone to a file or a block device, for programs that take disks.
 *
 * @throws VarveError as {@link exportMachine}; `USAGE` when it is not said which of several disks, or there is none of this name
 */
export async function exportDisk(
  context: TransferContext,
  name: string,
  file: string,
  options: ExportDiskOptions = {},
): Promise<ExportResult> {
  const started = performance.now();
  await using opened = await openDiskImage(context, name);
  const disk = chosenDisk(opened, options.disk);
  const target = resolve(file);
  const { path } = await diskFile(context, opened, disk);
  const copied = await copyOut(context, path, { path: target, shown: target }, options);
  const files = [{ name: disk.disk.name, size: copied.logicalBytes }];
  return report(opened, target, { disks: [copied], files, durationMs: performance.now() - started });
}

function chosenDisk({ record, image, disks }: OpenDiskImage, name: string | undefined): ImageDisk {
  const names = disks.map(({ disk }) => disk.name);
  const hint = `its disks are ${names.join(", ")}: choose one with --disk, or export all of them to a directory`;
  if (name === undefined && disks.length > 1) {
    const what = image.stacked ? "is a stack of disks, which macOS puts together" : "has several disks";
    throw new VarveError("USAGE", `the machine of ${record.name} ${what}`, { hint });
  }
  const chosen = disks.find(({ disk }) => name === undefined || disk.name === name);
  if (chosen !== undefined) return chosen;
  throw new VarveError("USAGE", `the machine of ${record.name} has no disk ${JSON.stringify(name)}`, { hint });
}

function report(
  { record, manifest, image }: OpenDiskImage,
  target: string,
  { disks, files, durationMs }: Pick<ExportResult, "disks" | "files" | "durationMs">,
): ExportResult {
  return {
    image: record.name,
    digest: manifest.digest,
    format: image.format,
    target,
    files,
    ...totalOf(disks),
    durationMs: Math.round(durationMs),
  };
}
