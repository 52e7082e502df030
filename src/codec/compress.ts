/**
 * Compresses a stream the same way every time: no times and no names in it, one setting for all. (Another build of zlib or zstd, or another
 * kind of processor, may still give other bytes; a DiffID does not depend on them.)
 */
import { constants, createGzip, createZstdCompress, type Gzip, type ZstdCompress } from "node:zlib";

export const COMPRESSIONS = ["gzip", "zstd", "none"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export interface CompressOptions {
  /** gzip: 1 ... 9, default 6. zstd: 1 ... 19, default 3. */
  readonly level?: number;
}

const CHUNK = 256 * 1024;

/**
 * @param source chunks that are lent until the next is asked for
 * @throws what the source throws
 */
export function compress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  { level }: CompressOptions = {},
): AsyncIterable<Uint8Array> {
  const params = level === undefined ? {} : { [constants.ZSTD_c_compressionLevel]: level };
  switch (compression) {
    case "none":
      return source;
    case "gzip":
      return through(source, createGzip({ chunkSize: CHUNK, ...(level !== undefined && { level }) }));
    case "zstd":
      return through(source, createZstdCompress({ chunkSize: CHUNK, params }));
  }
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  codec: Gzip | ZstdCompress,
): AsyncGenerator<Uint8Array, void, undefined> {
  const feeding = feed(source, codec);
  // What the source throws comes out of the codec too.
  feeding.catch((error: Error) => codec.destroy(error));
  try {
    for await (const chunk of codec) yield chunk as Uint8Array;
    await feeding;
  } finally {
    codec.destroy();
  }
}

async function feed(source: AsyncIterable<Uint8Array>, codec: Gzip | ZstdCompress): Promise<void> {
  for await (const chunk of source) await writeTo(codec, chunk);
  codec.end();
}

/**
 * Settles when the chunk is compressed. Without waiting for that, `end` may come before it, and the last chunk is then compressed as the last:
 * zstd writes other bytes for that, for a stream of one chunk even another frame header.
 */
export function writeTo(codec: Gzip | ZstdCompress, chunk: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  codec.write(chunk, (error) => (error ? reject(error) : resolve()));
  return promise;
}
