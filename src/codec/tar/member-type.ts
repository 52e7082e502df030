/** Type flags: what each means, which of them announce extensions, and which never carry a payload. */
import type { TarType } from "./entry.ts";

export const FLAG = {
  oldFile: 0x00,
  file: 0x30,
  link: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
  contiguous: 0x37,
  longLink: 0x4b,
  longName: 0x4c,
  gnuSparse: 0x53,
  globalHeader: 0x67,
  extendedHeader: 0x78,
} as const;

const TYPES: Readonly<Record<number, TarType>> = {
  [FLAG.oldFile]: "file",
  [FLAG.file]: "file",
  [FLAG.contiguous]: "file",
  [FLAG.gnuSparse]: "file",
  [FLAG.link]: "link",
  [FLAG.symlink]: "symlink",
  [FLAG.char]: "char",
  [FLAG.block]: "block",
  [FLAG.directory]: "directory",
  [FLAG.fifo]: "fifo",
};

/** Old archives had no directories but files whose names end in a slash; with flag `0` such a name is a file, as in Go. */
export function typeOf(flag: number, name: string): TarType | undefined {
  return flag === FLAG.oldFile && name.endsWith("/") ? "directory" : TYPES[flag];
}

/** Links, devices, directories and fifos: whatever their size field says, no data follows. */
export function isHeaderOnly(flag: number): boolean {
  return flag >= FLAG.link && flag <= FLAG.fifo;
}

/** Members that only describe the next one (or, the global header, all that follow). */
export function isExtension(flag: number): boolean {
  return flag === FLAG.extendedHeader || flag === FLAG.globalHeader || flag === FLAG.longName || flag === FLAG.longLink;
}
