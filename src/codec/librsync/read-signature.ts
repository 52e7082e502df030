/** Reads a signature (librsync §1) into one block of memory, held to all its limits. */
import { VarveError } from "../../errors/varve-error.ts";
import { badSignature } from "./fault.ts";
import { kindOf, STRONG_BYTES } from "./kinds.ts";
import type { SignatureHead } from "./signature-sizes.ts";
import { HEAD_BYTES } from "./write-signature.ts";

export interface Signature extends SignatureHead {
  /** One for each block: the weak sum, big-endian, and the strong one. */
  readonly rows: Uint8Array;
  /** Bytes of a row. */
  readonly rowBytes: number;
  /** How many. */
  readonly blocks: number;
}

export interface ReadSignatureOptions {
  /** Bytes of sums that are taken at most. Default 256 MiB, which is that of some 15 GB in blocks of 2 KiB. */
  readonly limit?: number;
  /** Blocks that are taken at most, because tables over them take memory as well. Default 2^23. */
  readonly blockLimit?: number;
}

const WEAK_BYTES = 4;
const DEFAULT_LIMIT = 256 << 20;
const DEFAULT_BLOCK_LIMIT = 2 ** 23;
/** Sizes of memory before the whole is known: each is twice the one before. */
const FIRST_ROOM = 64 << 10;

/** @throws VarveError `SIGNATURE_INVALID` when it is none, or ends too early; `SIGNATURE_LIMIT`; what the source throws */
export async function readSignature(
  source: AsyncIterable<Uint8Array>,
  options: ReadSignatureOptions = {},
): Promise<Signature> {
  const { limit = DEFAULT_LIMIT, blockLimit = DEFAULT_BLOCK_LIMIT } = options;
  let bytes = new Uint8Array(FIRST_ROOM);
  let used = 0;
  let head: SignatureHead | undefined;
  for await (const chunk of source) {
    if (used + chunk.length > limit + HEAD_BYTES) {
      throw new VarveError("SIGNATURE_LIMIT", `the signature has more than ${limit} bytes of sums`);
    }
    if (used + chunk.length > bytes.length) bytes = larger(bytes, used, used + chunk.length, limit + HEAD_BYTES);
    bytes.set(chunk, used);
    used += chunk.length;
    // At once, so that what is no signature is not read to its end.
    if (head === undefined && used >= HEAD_BYTES) head = readHead(bytes);
    if (head !== undefined && used - HEAD_BYTES > blockLimit * (WEAK_BYTES + head.strongBytes)) {
      throw new VarveError("SIGNATURE_LIMIT", `the signature has more than ${blockLimit} blocks`);
    }
  }
  if (head === undefined) throw badSignature("ends within its first words", used);
  const rowBytes = WEAK_BYTES + head.strongBytes;
  const blocks = Math.floor((used - HEAD_BYTES) / rowBytes);
  if (HEAD_BYTES + blocks * rowBytes !== used) throw badSignature("ends within a block's sums", used);
  return { ...head, rows: bytes.subarray(HEAD_BYTES, used), rowBytes, blocks };
}

function larger(bytes: Uint8Array, used: number, least: number, most: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.min(most, Math.max(least, 2 * bytes.length)));
  grown.set(bytes.subarray(0, used));
  return grown;
}

function readHead(bytes: Uint8Array): SignatureHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const kind = kindOf(view.getUint32(0));
  if (kind === undefined) throw badSignature("has none of the first words that signatures have", 0);
  const [blockBytes, strongBytes] = [view.getUint32(4), view.getUint32(8)];
  if (blockBytes === 0) throw badSignature("says that its blocks are empty", 4);
  if (strongBytes > STRONG_BYTES[kind.strong]) {
    throw badSignature(`says that its sums of ${kind.strong} have ${strongBytes} bytes`, 8);
  }
  return { ...kind, blockBytes, strongBytes };
}
