/**
 * What kind of disk image a file is, by its first bytes (one by its last) and never by its name: a raw disk is what has none of these. The magics are those
 * that qemu-img goes by.
 */
import { open } from "node:fs/promises";
import { toVarveError } from "../../errors/from-system.ts";

/** As qemu-img calls them. */
export const DISK_FORMATS = ["raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "parallels"] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

const MAGICS: readonly (readonly [format: DiskFormat, magic: string, at?: number])[] = [
  ["qcow2", "QFI\u00fb"],
  ["vmdk", "KDMV"],
  ["vmdk", "COWD"],
  ["vmdk", "# Disk DescriptorFile"],
  ["vdi", "\u007f\u0010\u00da\u00be", 64],
  ["vhdx", "vhdxfile"],
  ["vpc", "conectix"],
  ["qed", "QED\0"],
  ["parallels", "WithoutFreeSpace"],
  ["parallels", "WithouFreSpacExt"],
];
/** A VHD of fixed size is a raw disk with this at the beginning of its last 512 bytes. */
const VHD_FOOTER = "conectix";
const PART_BYTES = 512;

/** @throws VarveError `FILE_NOT_FOUND`, `PERMISSION`, `IO` */
export async function diskFormatOf(path: string): Promise<DiskFormat> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const read = async (position: number): Promise<string> => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(PART_BYTES), 0, PART_BYTES, position);
      return buffer.toString("latin1", 0, bytesRead);
    };
    const head = await read(0);
    const found = MAGICS.find(([, magic, at = 0]) => head.startsWith(magic, at));
    if (found !== undefined) return found[0];
    return size > PART_BYTES && (await read(size - PART_BYTES)).startsWith(VHD_FOOTER) ? "vpc" : "raw";
  } catch (error) {
    throw toVarveError(error, `reading ${path}`);
  }
}
