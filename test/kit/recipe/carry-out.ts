/** Carries out recipes of chunked layers in memory, and holds what segments claim to what they make. Frames must end where they say. */
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { AppleLz4Decoder } from "../../../src/codec/apple-lz4/decoder.ts";
import { Lz4FramesDecoder } from "../../../src/codec/lz4-frames/decoder.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { segmentLength, type Recipe, type Segment } from "../../../src/recipe/segment.ts";

/** @param files what local segments read, by path */
export async function carryOut(
  recipe: Recipe,
  blob: Buffer,
  files: ReadonlyMap<string, Buffer> = new Map(),
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const segment of recipe.segments) {
    const bytes = bytesOf(segment, blob, files);
    if (bytes.length !== segmentLength(segment))
      throw new Error(`a ${segment.kind} segment makes ${bytes.length} bytes`);
    if ("digest" in segment && segment.digest !== undefined && digestOf(bytes) !== segment.digest) {
      throw new Error(`a ${segment.kind} segment is not what its digest says`);
    }
    parts.push(Buffer.from(bytes));
  }
  return Buffer.concat(parts);
}

function decoded(decoder: AppleLz4Decoder | Lz4FramesDecoder, blocks: Uint8Array): Buffer {
  const pieces: Buffer[] = [];
  for (const piece of decoder.write(blocks)) pieces.push(Buffer.from(piece));
  decoder.end();
  return Buffer.concat(pieces);
}

function bytesOf(segment: Segment, blob: Buffer, files: ReadonlyMap<string, Buffer>): Uint8Array {
  switch (segment.kind) {
    case "frames": {
      const frames = blob.subarray(segment.start, segment.start + segment.length);
      if (segment.codec === "apple-lz4") return decoded(new AppleLz4Decoder({ cut: true }), frames);
      if (segment.codec === "lz4-frames") return decoded(new Lz4FramesDecoder(), frames);
      return segment.codec === "zstd" ? zstdDecompressSync(frames) : gunzipSync(frames);
    }
    case "local":
      return files.get(segment.path)!.subarray(segment.start, segment.start + segment.length);
    case "zero":
      return Buffer.alloc(segment.length);
    case "data":
      return segment.bytes;
    case "held":
    case "remote":
      throw new Error(`no ${segment.kind} segments here`);
  }
}
