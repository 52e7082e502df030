/**
 * The 512-byte header block of a tar archive: where its fields are, its checksum, and which dialect its magic tells
 * (POSIX.1-1988 ustar, GNU tar manual "Basic Tar Format", star(5)). Reader and writer share this page.
 */
export const BLOCK = 512;

/** Offset and length of each field. */
export const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  modifiedAt: [136, 12],
  checksum: [148, 8],
  linkName: [157, 100],
  userName: [265, 32],
  groupName: [297, 32],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
  ustarPrefix: [345, 155],
  starPrefix: [345, 131],
  starAccessedAt: [476, 12],
  starChangedAt: [488, 12],
  gnuAccessedAt: [345, 12],
  gnuChangedAt: [357, 12],
  gnuRealSize: [483, 12],
} as const satisfies Record<string, readonly [offset: number, length: number]>;

export const TYPE_FLAG_AT = 156;
export const MAGIC_AT = 257;
export const USTAR_MAGIC = "ustar\0";
export const USTAR_VERSION = "00";
export const GNU_MAGIC = "ustar  \0";
const STAR_TRAILER = "tar\0";
const STAR_TRAILER_AT = 508;

export type TarDialect = "v7" | "ustar" | "gnu" | "star";

/** How far `size` is from the next block boundary, 0 ... 511. */
export function paddingOf(size: number): number {
  const over = size % BLOCK;
  return over === 0 ? 0 : BLOCK - over;
}

/** The sum of all bytes of the block at `at`; 0 only for a block of zeros. Adds two bytes per step in 16-bit lanes. */
export function blockSum(view: DataView, at: number): number {
  let lanes = 0;
  for (let i = at; i < at + BLOCK; i += 4) {
    const word = view.getInt32(i, true);
    // 256 additions of at most 255 stay below 65,536, so that no lane runs over.
    lanes = (lanes + (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff)) | 0;
  }
  return (lanes & 0xffff) + (lanes >>> 16);
}

/** What the checksum field takes part with in the sum: eight spaces instead of itself. */
export function sumOfChecksumField(bytes: Uint8Array, at: number): number {
  let sum = 0;
  for (let i = at + FIELD.checksum[0]; i < at + FIELD.checksum[0] + 8; i++) sum += bytes[i] ?? 0;
  return 8 * 0x20 - sum;
}

/** Sun's old tar summed signed bytes; such archives are still accepted. */
export function signedChecksum(bytes: Uint8Array, at: number): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) {
    if (i >= FIELD.checksum[0] && i < FIELD.checksum[0] + 8) continue;
    sum += ((bytes[at + i] ?? 0) << 24) >> 24;
  }
  return sum;
}

function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** The dialect of the header at `at`, by its magic. */
export function dialectOf(bytes: Uint8Array, at: number): TarDialect {
  if (hasText(bytes, at + MAGIC_AT, USTAR_MAGIC)) {
    return hasText(bytes, at + STAR_TRAILER_AT, STAR_TRAILER) ? "star" : "ustar";
  }
  return hasText(bytes, at + MAGIC_AT, GNU_MAGIC) ? "gnu" : "v7";
}

/** Writes the checksum of a finished block: six octal digits, NUL, space. */
export function sealBlock(block: Buffer): void {
  block.fill(0x20, FIELD.checksum[0], FIELD.checksum[0] + 8);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, FIELD.checksum[0], "latin1");
}
