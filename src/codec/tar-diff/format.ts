/**
 * What a tar-diff is made of (formats "tar-diff" §1): eight bytes, then zstd of operations, each one byte and a number, some with bytes behind them.
 * There is no end mark, no length and no checksum: what comes out is to be compared with a DiffID.
 */
export const TAR_DIFF_MAGIC = Uint8Array.from([0x74, 0x61, 0x72, 0x64, 0x66, 0x31, 0x0a, 0x00]);

export const OP_DATA = 0;
export const OP_OPEN = 1;
export const OP_COPY = 2;
export const OP_ADD = 3;
export const OP_SEEK = 4;

/** Bytes of a number of 64 bits. */
export const LONGEST_NUMBER = 10;
/** Bytes of a path: PATH_MAX. */
export const LONGEST_PATH = 4096;

/**
 * What makes nothing (Open, Seek, and anything of no length) may come as often as this, and as often again for each operation that makes something:
 * a stream of nothing else compresses to nearly nothing, and takes forever.
 */
export const FREE_IDLE = 4096;
export const IDLE_PER_WORK = 8;
