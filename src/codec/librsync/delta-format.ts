/** The words of a delta (librsync §2). All numbers are big-endian. */
export const DELTA_MAGIC = 0x7273_0236;
export const MAGIC_BYTES = 4;

export const OP_END = 0x00;
/** The last of the commands that are their own length. */
export const OP_LITERAL_64 = 0x40;
/** Literals whose length follows in 1, 2, 4 or 8 bytes. */
export const OP_LITERAL_N1 = 0x41;
/** Copies whose start follows in 2^i bytes and whose length in 2^j: this + 4 i + j. */
export const OP_COPY_N1_N1 = 0x45;
export const OP_COPY_N8_N8 = 0x54;
/** A command with two numbers of eight bytes. */
export const LONGEST_COMMAND = 17;

/** What a delta says to do next. The bytes of a literal may come as several of these: `left` bytes of it follow. */
export type DeltaOp =
  | { readonly kind: "copy"; readonly start: number; readonly length: number }
  | { readonly kind: "literal"; readonly bytes: Uint8Array; readonly left: number };

/** Bytes of a command and its numbers; 0 for what is reserved. */
export function commandBytes(op: number): number {
  if (op <= OP_LITERAL_64) return 1;
  if (op < OP_COPY_N1_N1) return 1 + (1 << (op - OP_LITERAL_N1));
  if (op > OP_COPY_N8_N8) return 0;
  const widths = op - OP_COPY_N1_N1;
  return 1 + (1 << (widths >> 2)) + (1 << (widths & 3));
}

/** Which of the four widths a number takes at least: 2^i bytes. */
export function widthOf(value: number): 0 | 1 | 2 | 3 {
  if (value < 0x100) return 0;
  if (value < 0x1_0000) return 1;
  return value < 0x1_0000_0000 ? 2 : 3;
}
