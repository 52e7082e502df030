/**
 * Apple's framing of LZ4 (formats "tart" §3), as the Compression framework of macOS writes it: blocks back to back, each with a header of
 * little-endian words of 32 bits. Blocks are linked: a match may reach 64 KiB back, into what earlier blocks made. There is no checksum, and
 * no word of how much there is in all.
 */

/** `bv41`: bytes decoded, bytes encoded, and a raw LZ4 block. */
export const COMPRESSED_MAGIC = 0x31347662;
/** `bv4-`: bytes, and just these. */
export const STORED_MAGIC = 0x2d347662;
/** `bv4$`: nothing follows. */
export const END_MAGIC = 0x24347662;

export const COMPRESSED_HEADER_BYTES = 12;
export const STORED_HEADER_BYTES = 8;
export const MAGIC_BYTES = 4;

/** What Apple's writer puts into a block, and so does ours. */
export const BLOCK_BYTES = 65_536;
