/** CRC-32C (Castagnoli, RFC 3720 appendix B.4) as EROFS keeps it of its superblock: reflected, from all ones, not inverted at the end. */
const POLYNOMIAL = 0x82f63b78;

/** The checksum of some bytes, of which those at `field` ... `field + 3` count as zeros. Only ever used for one block. */
export function superblockChecksum(bytes: Uint8Array, field: number): number {
  let state = -1;
  for (const [at, byte] of bytes.entries()) {
    state ^= at >= field && at < field + 4 ? 0 : byte;
    for (let bit = 0; bit < 8; bit++) state = (state >>> 1) ^ (POLYNOMIAL & -(state & 1));
  }
  return state >>> 0;
}
