/**
 * What kind of disk image a file is, by its first bytes and never by its name: a raw disk is what begins with none of these. The magics are those
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
const HEAD_BYTES = 512;

/** @throws VarveError `FILE_NOT_FOUND`, `PERMISSION`, `IO` */
export async function diskFormatOf(path: string): Promise<DiskFormat> {
  try {
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const head = buffer.toString("latin1", 0, bytesRead);
    return MAGICS.find(([, magic, at = 0]) => head.startsWith(magic, at))?.[0] ?? "raw";
  } catch (error) {
    throw toVarveError(error, `reading ${path}`);
  }
}
