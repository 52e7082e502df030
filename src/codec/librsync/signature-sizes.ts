/** How large blocks and sums are where nobody says (librsync §3, `-b` and `-S`), by the size of the file that the signature is of. */
import { VarveError } from "../../errors/varve-error.ts";
import { STRONG_BYTES, type SignatureKind } from "./kinds.ts";

export interface SignatureOptions extends Partial<SignatureKind> {
  /** 1 to 2^32 - 1. Default: 256 up to 64 KiB of a file, else near the root of its size; 2048 when that is unknown. */
  readonly blockBytes?: number;
  /**
   * Bytes of each strong sum, 0 to 32 (16 for MD4); `least`: as many as make a wrong match one in 2^24 or so files unlikely. Default: all.
   */
  readonly strongBytes?: number | "least";
  /** Of the file, where it is known. */
  readonly size?: number;
}

/** The first words of a signature, and what its sums are. */
export interface SignatureHead extends SignatureKind {
  readonly blockBytes: number;
  readonly strongBytes: number;
}

const SMALL_FILE = 65_536;
const SMALL_BLOCK = 256;
const UNKNOWN_BLOCK = 2048;
const UNKNOWN_LEAST = 12;
export const LARGEST_BLOCK = 2 ** 32 - 1;

/** @throws VarveError `USAGE` */
export function resolveHead(options: SignatureOptions): SignatureHead {
  const { weak = "rabinkarp", strong = "blake2", size } = options;
  const blockBytes = options.blockBytes ?? defaultBlock(size);
  if (!(Number.isInteger(blockBytes) && blockBytes >= 1 && blockBytes <= LARGEST_BLOCK)) {
    throw new VarveError("USAGE", `blocks have 1 to ${LARGEST_BLOCK} bytes, not ${blockBytes}`);
  }
  const most = STRONG_BYTES[strong];
  const wanted = options.strongBytes ?? most;
  const strongBytes = wanted === "least" ? Math.min(most, leastStrong(size, blockBytes)) : wanted;
  if (!(Number.isInteger(strongBytes) && strongBytes >= 0 && strongBytes <= most)) {
    throw new VarveError("USAGE", `strong sums of ${strong} have at most ${most} bytes, not ${strongBytes}`);
  }
  return { weak, strong, blockBytes, strongBytes };
}

function defaultBlock(size: number | undefined): number {
  if (size === undefined) return UNKNOWN_BLOCK;
  return size <= SMALL_FILE ? SMALL_BLOCK : Math.floor(Math.sqrt(size) / 128) * 128;
}

/** A wrong match needs as many bits as there are places to find one at, and blocks to find. */
function leastStrong(size: number | undefined, blockBytes: number): number {
  if (size === undefined) return UNKNOWN_LEAST;
  const bits = Math.floor(Math.log2(size + 2 ** 24)) + Math.floor(Math.log2(Math.floor(size / blockBytes) + 1));
  return 2 + Math.floor((bits + 7) / 8);
}
