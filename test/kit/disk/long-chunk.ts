/** A chunk of a disk that is long enough for several borders, the same in every process. */
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { DiskChunk } from "../../../src/codec/tart/disk-image.ts";
import { noise } from "../recipe/random-recipe.ts";
import { appleLz4 } from "./tart-image.ts";

const MIB = 1 << 20;

export interface LongChunk {
  readonly content: Buffer;
  readonly stream: Buffer;
  readonly chunk: DiskChunk & { readonly digest: Digest };
}

/** Of each MiB a quarter cannot be compressed, and every fifth is zeros. @param offset of the chunk in its disk */
export function longChunk(mebibytes: number, offset = 0): LongChunk {
  const content = Buffer.concat(
    Array.from({ length: mebibytes }, (_, index) => {
      const quarter = Buffer.from(noise(MIB / 4, `quarter ${index}`));
      return index % 5 === 4
        ? Buffer.alloc(MIB)
        : Buffer.concat([quarter, Buffer.alloc((MIB * 3) / 4, quarter.subarray(0, 999))]);
    }),
  );
  const stream = appleLz4(content);
  const blob = { mediaType: "application/octet-stream", digest: digestOf(stream), size: stream.length };
  return {
    content,
    stream,
    chunk: { blob, coding: "apple-lz4", offset, size: content.length, digest: digestOf(content) },
  };
}
