/** Which compression a stream has, by its first bytes: media types lie, magic numbers do not (as in containerd). */
import { isZstdMagic } from "./zstd/frame-walker.ts";

export type Compression = "gzip" | "zstd" | "none";

/** How many leading bytes `sniffCompression` wants to see. */
export const SNIFF_BYTES = 4;

/** By the stream's first `SNIFF_BYTES` bytes, or all of them if it has fewer. An empty stream is plain. */
export function sniffCompression(head: Uint8Array): Compression {
  const [a = 0, b = 0, c = 0, d = 0] = head;
  if (head.length >= 3 && a === 0x1f && b === 0x8b && c === 0x08) return "gzip";
  return head.length >= SNIFF_BYTES && isZstdMagic((a | (b << 8) | (c << 16) | (d << 24)) >>> 0) ? "zstd" : "none";
}
