/**
 * The files of a machine's directory, as the program has them that made the image (formats "tart" §1 and §6): what is exported, and in which
 * order, the one last by which the program takes the directory for a machine.
 */
import type { DiskImage } from "../../codec/tart/disk-image.ts";
import { MOST_VM_CONFIG_BYTES } from "../../codec/tart/vm-config.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { ImageDisk } from "./open-disk-image.ts";

export const VM_CONFIG_NAME = "config.json";

export type MachineFile = { readonly name: string } & (
  | { readonly kind: "disk"; readonly disk: ImageDisk }
  | { readonly kind: "blob"; readonly blob: Descriptor }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
);

interface Machine {
  readonly image: DiskImage;
  readonly manifest: Manifest;
  readonly disks: readonly ImageDisk[];
}

/** No name is a path, and none is there twice. @throws VarveError `MANIFEST_INVALID`, `CONFIG_INVALID` when that is too large for one */
export function machineFiles({ image, manifest, disks }: Machine): MachineFile[] {
  const { format, config, nvram, kernel, initramfs } = image;
  if (config.size > MOST_VM_CONFIG_BYTES) {
    throw new VarveError("CONFIG_INVALID", `the machine's configuration has ${config.size} bytes`);
  }
  const blob = (name: string, descriptor: Descriptor | undefined): MachineFile[] =>
    descriptor === undefined ? [] : [{ name, kind: "blob", blob: descriptor }];
  return [
    ...distinct(disks, manifest).map((disk): MachineFile => ({ name: disk.disk.name, kind: "disk", disk })),
    ...blob("nvram.bin", nvram),
    ...blob("kernel", kernel),
    ...blob("initramfs", initramfs),
    ...(format === "tart" ? [{ name: "manifest.json", kind: "bytes", bytes: manifest.bytes } as const] : []),
    ...blob(VM_CONFIG_NAME, config),
  ];
}

/** A stack may have one disk several times, which then is one file. */
function distinct(disks: readonly ImageDisk[], { digest }: Manifest): ImageDisk[] {
  const named = new Map<string, ImageDisk>();
  for (const disk of disks) {
    const { name } = disk.disk;
    const known = named.get(name);
    if (known !== undefined && known.key !== disk.key) {
      throw new VarveError("MANIFEST_INVALID", `manifest ${digest} has two disks of the name ${name}`);
    }
    named.set(name, disk);
  }
  return [...named.values()];
}
