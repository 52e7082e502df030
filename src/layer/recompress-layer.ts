/** A layer's tar compressed another way, in one pass: decompressed, hashed, read as a tar, compressed, hashed again, written. */
import { writeSync } from "node:fs";
import { compress } from "../codec/compress.ts";
import type { LayerCompressionKind } from "../codec/layer-compressions.ts";
import type { TarHandler } from "../codec/tar/entry.ts";
import { TarParser } from "../codec/tar/parser.ts";
import { ZstdChunkedWriter, type ChunkedLayer, type ChunkedRefusal } from "../codec/zstd-chunked/writer.ts";
import { toVarveError } from "../errors/from-system.ts";
import { Digester, type Digest } from "../oci/digest.ts";
import { readFrontFile } from "./read-front-file.ts";
import { tarStreamOf, type TarStreamOptions } from "./tar-stream.ts";
import type { FrontFile } from "./threads.ts";

const BUFFER = 1 << 20;

export interface RecompressedLayer {
  /** Of the new blob. */
  readonly digest: Digest;
  readonly size: number;
  /** Of the tar, which is the same as before. Told, not checked. */
  readonly diffId: Digest;
  readonly uncompressedSize: number;
  /** Members of the tar. */
  readonly entries: number;
  /** For the layer's descriptor; undefined when the layer is not one of zstd:chunked. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** Why a layer that was to be one of zstd:chunked is ordinary zstd. */
  readonly refused: ChunkedRefusal | undefined;
}

export interface RecompressLayerOptions extends Omit<TarStreamOptions, "vouched"> {
  readonly compression: LayerCompressionKind;
  readonly level: number;
  /** Told of how much of the tar has been read, bytes. */
  readonly onProgress?: (done: number) => void;
}

/**
 * @param output a file descriptor; the blob is written from its beginning
 * @throws VarveError `COMPRESSION_INVALID`, `LAYER_INVALID`, `LAYER_LIMIT`, `NO_SPACE`, `IO`; the signal's reason as it is
 */
export async function recompressFile(
  file: FrontFile,
  output: number,
  options: RecompressLayerOptions,
): Promise<RecompressedLayer> {
  const { compression, level, signal, onProgress } = options;
  const tar = tarStreamOf(readFrontFile(file, signal), { ...options, size: file.size });
  const blob = new Output(output);
  let uncompressedSize = 0;
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar) {
      signal.throwIfAborted();
      uncompressedSize += chunk.length;
      yield chunk;
      onProgress?.(uncompressedSize);
    }
  };
  const made =
    compression === "zstd:chunked"
      ? await writeChunked(chunks(), blob, level)
      : await writePlain(chunks(), blob, compression, level);
  return { ...made, ...blob.end(), diffId: tar.diffId, uncompressedSize };
}

async function writeChunked(tar: AsyncIterable<Uint8Array>, blob: Output, level: number): Promise<ChunkedLayer> {
  using writer = new ZstdChunkedWriter((bytes) => blob.write(bytes), { level });
  for await (const chunk of tar) await writer.write(chunk);
  return await writer.end();
}

const nobody: TarHandler = { entry: () => {}, data: () => {}, endEntry: () => {} };

async function writePlain(
  tar: AsyncIterable<Uint8Array>,
  blob: Output,
  compression: "gzip" | "zstd",
  level: number,
): Promise<ChunkedLayer> {
  const parser = new TarParser(nobody);
  const parsed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar) {
      parser.write(chunk);
      yield chunk;
    }
  };
  for await (const chunk of compress(parsed(), compression, { level })) blob.write(chunk);
  parser.end();
  return { entries: parser.entries, annotations: undefined, refused: undefined };
}

/** Gathers what is written and hashes it, both in large pieces: frames may be tiny. */
class Output {
  readonly #file: number;
  readonly #digester = new Digester();
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);
  #filled = 0;

  constructor(file: number) {
    this.#file = file;
  }

  /** The bytes are only lent. */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + BUFFER - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BUFFER) this.#flush();
    }
  }

  end(): { readonly digest: Digest; readonly size: number } {
    this.#flush();
    return { size: this.#digester.size, digest: this.#digester.digest() };
  }

  #flush(): void {
    const position = this.#digester.size;
    try {
      for (let done = 0; done < this.#filled;) {
        done += writeSync(this.#file, this.#buffer, done, this.#filled - done, position + done);
      }
    } catch (error) {
      throw toVarveError(error, "writing a layer");
    }
    this.#digester.update(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }
}
