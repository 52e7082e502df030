/** What LZ4 blocks have in common in whatever framing (the LZ4 block format description). */

/** The farthest that a match reaches is a byte less. */
export const WINDOW_BYTES = 65_536;
/** Blocks of a decoded size beyond this are refused: nobody writes them, and they would have to fit in memory. */
export const MOST_BLOCK_BYTES = 4 << 20;

/** The most that `bytes` can need when LZ4 encodes them: a length byte for each 255 that are literal. */
export function largestEncoding(bytes: number): number {
  return bytes + Math.ceil(bytes / 255) + 16;
}
