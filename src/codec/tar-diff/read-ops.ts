/** From the bytes of a tar-diff to those of its operations: the header is held to what it must be, and zstd is undone with a window of bounds. */
import { isVarveError } from "../../errors/varve-error.ts";
import { ChunkReader } from "../chunk-reader.ts";
import { decompress } from "../decompress.ts";
import { badTarDiff } from "./fault.ts";
import { TAR_DIFF_MAGIC } from "./format.ts";

/** 64 MiB, more than any level of zstd takes by itself but the two last: two layers are made at once, and a delta may ask for all of it. */
const WINDOW_LOG_MAX = 26;

/**
 * The operations, one after the other, in pieces that are lent until the next is asked for. Ask for no more than what they make is worth: a small
 * delta may be of any length here.
 * @throws VarveError `DELTA_INVALID`; what the source throws; the signal's reason
 */
export async function* readTarDiffOps(
  source: AsyncIterable<Uint8Array>,
  options: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal } = options;
  await using reader = new ChunkReader(source, signal);
  await readMagic(reader);
  let isEmpty = true;
  async function* compressed(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
      if (chunk.length === 0) continue;
      isEmpty = false;
      yield chunk;
    }
  }
  try {
    yield* decompress(compressed(), {
      compression: "zstd",
      windowLogMax: WINDOW_LOG_MAX,
      lend: true,
      ...(signal !== undefined && { signal }),
    });
  } catch (error) {
    if (!isVarveError(error, "COMPRESSION_INVALID")) throw error;
    throw badTarDiff(`is damaged: ${error.message}`, 0, error);
  }
  if (isEmpty) throw badTarDiff("ends too early", 0);
}

async function readMagic(reader: ChunkReader): Promise<void> {
  const { length } = TAR_DIFF_MAGIC;
  let head: Uint8Array = Buffer.alloc(0);
  while (head.length < length) {
    const chunk = await reader.next();
    if (chunk === undefined) break;
    head = Buffer.concat([head, chunk]);
  }
  const begun = Math.min(head.length, length);
  if (Buffer.compare(head.subarray(0, begun), TAR_DIFF_MAGIC.subarray(0, begun)) !== 0) {
    throw badTarDiff("does not begin as deltas of tars do", 0);
  }
  if (head.length < length) throw badTarDiff("ends too early", 0);
  if (head.length > length) reader.unread(head.subarray(length));
}
