/** The use case "disk info": what an image, a machine's directory or a disk's file is, and what it takes. */
import { join } from "node:path";
import type { DiskImage } from "../../codec/tart/disk-image.ts";
import type { Digest } from "../../oci/digest.ts";
import type { TransferContext } from "../context.ts";
import { heldSummary, summarize, type DiskSummary, type HeldSummary } from "./disk-summary.ts";
import { fileInfo, type FileInfo } from "./file-info.ts";
import { imageFacts, machineFacts, type MachineFacts } from "./machine-facts.ts";
import { machineAt } from "./machine-place.ts";
import { openDiskImage, type OpenDiskImage } from "./open-disk-image.ts";
import { readMachineDirectory } from "./read-directory.ts";

export interface ImageInfo extends MachineFacts {
  readonly kind: "image";
  /** The name under which the store has it. */
  readonly name: string;
  readonly digest: Digest;
  readonly format: DiskImage["format"];
  /** Whether its disks are a stack: one disk of the machine, which macOS puts together. */
  readonly stacked: boolean;
  /** Whether Tart of today takes the image. */
  readonly canonical: boolean;
  readonly uploadTime: string | null;
  readonly disks: readonly (DiskSummary & HeldSummary)[];
}

export interface DirectoryInfo extends MachineFacts {
  readonly kind: "directory";
  readonly path: string;
  /** Null when its files do not tell. */
  readonly format: DiskImage["format"] | null;
  readonly disks: readonly (FileInfo & { readonly name: string })[];
}

export type DiskInformation = ImageInfo | DirectoryInfo | (FileInfo & { readonly kind: "file" });

/**
 * @param text an image of the store, or a path
 * @throws VarveError `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND`, `MEDIA_TYPE_UNSUPPORTED` when the image is no machine's, `MANIFEST_INVALID` ...
 */
export async function diskInformation(context: TransferContext, text: string): Promise<DiskInformation> {
  const { signal } = context;
  const place = await machineAt(context, text);
  switch (place.kind) {
    case "image": {
      await using opened = place.opened;
      return await ofImage(context, opened);
    }
    case "directory":
      return ofDirectory(place.path, signal);
    case "file":
      return { kind: "file", ...(await fileInfo(place.path, signal)) };
  }
}

/**
 * Of an image of the store and of nothing else, whatever files there are.
 * @throws VarveError as {@link diskInformation}
 */
export async function imageInformation(context: TransferContext, name: string): Promise<ImageInfo> {
  await using opened = await openDiskImage(context, name);
  return await ofImage(context, opened);
}

async function ofImage(
  { store, signal }: TransferContext,
  { record, manifest, image, source }: OpenDiskImage,
): Promise<ImageInfo> {
  const facts = await imageFacts(source, image, signal);
  const disks: (DiskSummary & HeldSummary)[] = [];
  for (const disk of image.disks) {
    disks.push({ ...(await summarize(disk, { signal })), ...(await heldSummary(store, disk)) });
  }
  const { format, stacked, canonical, uploadTime = null } = image;
  const { name } = record;
  return { kind: "image", name, digest: manifest.digest, format, ...facts, stacked, canonical, uploadTime, disks };
}

async function ofDirectory(path: string, signal: AbortSignal): Promise<DirectoryInfo> {
  const { config, disks: names, format } = await readMachineDirectory(path);
  const disks: (FileInfo & { readonly name: string })[] = [];
  for (const name of names) disks.push({ name, ...(await fileInfo(join(path, name), signal)) });
  return { kind: "directory", path, format: format ?? null, ...machineFacts(config, format), disks };
}
