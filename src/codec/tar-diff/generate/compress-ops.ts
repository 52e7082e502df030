/** The file that operations stand in: eight bytes and one frame of zstd, the same for the same operations. They are compressed beside what makes them. */
import { constants, createZstdCompress } from "node:zlib";
import { writeTo } from "../../compress.ts";
import { TAR_DIFF_MAGIC } from "../format.ts";

const CHUNK = 256 << 10;
const LEVEL = 12;
const WINDOW_LOG = 23;

/** @param ops pieces that stay as they are @throws what the source throws */
export async function* compressOps(ops: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield TAR_DIFF_MAGIC.slice();
  const params = {
    [constants.ZSTD_c_compressionLevel]: LEVEL,
    [constants.ZSTD_c_windowLog]: WINDOW_LOG,
    [constants.ZSTD_c_checksumFlag]: 1,
  };
  const codec = createZstdCompress({ chunkSize: CHUNK, params });
  const feeding = feed(ops, codec);
  feeding.catch((error: Error) => codec.destroy(error));
  try {
    for await (const chunk of codec) yield chunk as Uint8Array;
    await feeding;
  } finally {
    codec.destroy();
  }
}

/** The next piece is made while the last is compressed; the end comes when all of it is (see {@link writeTo}). */
async function feed(ops: AsyncIterable<Uint8Array>, codec: ReturnType<typeof createZstdCompress>): Promise<void> {
  let writing: Promise<void> | undefined;
  for await (const piece of ops) {
    await writing;
    writing = writeTo(codec, piece);
    // Awaited with the next piece, but it may fail before.
    writing.catch(() => undefined);
  }
  await writing;
  codec.end();
}
