/**
 * Compresses a stream the same way every time: no times and no names in it, one setting for all. (Another build of zlib or zstd, or another
 * kind of processor, may still give other bytes; a DiffID does not depend on them.)
 */
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, createZstdCompress } from "node:zlib";

export const COMPRESSIONS = ["gzip", "zstd", "none"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

const CHUNK = 256 * 1024;

/**
 * @param source chunks that belong to this from then on
 * @throws what the source throws
 */
export function compress(source: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Uint8Array> {
  switch (compression) {
    case "none":
      return source;
    case "gzip":
      return through(source, createGzip({ chunkSize: CHUNK }));
    case "zstd":
      return through(source, createZstdCompress({ chunkSize: CHUNK }));
  }
}

async function* through(source: AsyncIterable<Uint8Array>, codec: Transform): AsyncGenerator<Uint8Array> {
  // One chunk waits at most: they are large.
  const feeding = pipeline(Readable.from(source, { highWaterMark: 1 }), codec);
  // What the source throws comes out of the codec too.
  feeding.catch(() => undefined);
  for await (const chunk of codec) yield chunk as Uint8Array;
  await feeding;
}
