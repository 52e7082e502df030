/**
 * The last frame of a zstd:chunked blob (formats "zstd-chunked" §1.2, §3): a skippable one that says where the documents before it lie. Who has
 * the annotations of the manifest needs no footer, and should not believe it: nothing vouches for it.
 */
import type { DocumentPlace } from "./annotations.ts";

export const SKIPPABLE_MAGIC = 0x184d2a50;
/** Bytes that stand before the content of a skippable frame. */
export const SKIPPABLE_HEADER_BYTES = 8;
/** Bytes of the whole frame that ends a blob of podman's dialect. */
export const PODMAN_FOOTER_BYTES = 72;
/** Bytes of the whole frame that ends a blob of nerdctl's dialect. */
export const NERDCTL_FOOTER_BYTES = 48;

const PODMAN_MAGIC = "GNUlInUx";
const NERDCTL_MAGIC = "GnUlInUx";
const TOC_TYPE = 1;

export type ZstdChunkedFooter =
  | { readonly dialect: "podman"; readonly toc: DocumentPlace; readonly tarSplit: DocumentPlace }
  | { readonly dialect: "nerdctl"; readonly toc: DocumentPlace };

/** The header of a skippable frame (RFC 8878 §3.1.2) with so many bytes of content. */
export function skippableHeader(bytes: number): Buffer {
  const header = Buffer.allocUnsafe(SKIPPABLE_HEADER_BYTES);
  header.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  header.writeUInt32LE(bytes, 4);
  return header;
}

/** The whole frame. */
export function formatZstdChunkedFooter(footer: ZstdChunkedFooter): Buffer {
  const values = [...numbers(footer.toc), TOC_TYPE, ...(footer.dialect === "podman" ? numbers(footer.tarSplit) : [])];
  const content = Buffer.alloc(8 * values.length + 8);
  for (const [at, value] of values.entries()) content.writeBigUInt64LE(BigInt(value), 8 * at);
  content.write(footer.dialect === "podman" ? PODMAN_MAGIC : NERDCTL_MAGIC, 8 * values.length, "latin1");
  return Buffer.concat([skippableHeader(content.length), content]);
}

/** Reads the footer at the end of `tail`, the blob's last bytes; undefined when there is none of either dialect. */
export function parseZstdChunkedFooter(tail: Uint8Array): ZstdChunkedFooter | undefined {
  const magic = Buffer.from(tail.subarray(-8)).toString("latin1");
  if (magic === PODMAN_MAGIC) {
    const content = footerContent(tail, PODMAN_FOOTER_BYTES);
    const [toc, tarSplit] = [placeAt(content, 0), placeAt(content, 32)];
    return toc && tarSplit && { dialect: "podman", toc, tarSplit };
  }
  if (magic !== NERDCTL_MAGIC) return undefined;
  const toc = placeAt(footerContent(tail, NERDCTL_FOOTER_BYTES), 0);
  return toc && { dialect: "nerdctl", toc };
}

function numbers({ offset, compressed, uncompressed }: DocumentPlace): number[] {
  return [offset, compressed, uncompressed];
}

function footerContent(tail: Uint8Array, bytes: number): Buffer | undefined {
  if (tail.length < bytes) return undefined;
  const frame = Buffer.from(tail.subarray(-bytes));
  if (frame.readUInt32LE(0) !== SKIPPABLE_MAGIC || frame.readUInt32LE(4) !== bytes - SKIPPABLE_HEADER_BYTES)
    return undefined;
  const content = frame.subarray(SKIPPABLE_HEADER_BYTES);
  return content.readBigUInt64LE(24) === BigInt(TOC_TYPE) ? content : undefined;
}

function placeAt(content: Buffer | undefined, at: number): DocumentPlace | undefined {
  if (content === undefined) return undefined;
  const [offset, compressed, uncompressed] = [0, 8, 16].map((field) => Number(content.readBigUInt64LE(at + field)));
  const place = { offset: offset ?? 0, compressed: compressed ?? 0, uncompressed: uncompressed ?? 0 };
  return Object.values(place).every(Number.isSafeInteger) ? place : undefined;
}
