/**
 * Layers in podman's dialect of zstd:chunked (formats "zstd-chunked" §1), made for the reader's tests independently of the product's writer: where
 * chunks are cut is up to the test, and everything can be made wrong.
 */
import { zstdCompressSync } from "node:zlib";
import { record } from "../../codec/tar-splits.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { TAR_END, tarPadding } from "../../../src/codec/tar/header.ts";
import { headerOf, tocRecord, withoutZeros, type ChunkedMember, type TocRecord } from "./tar-members.ts";

export interface TocDocument {
  version: number;
  entries: TocRecord[];
  tarSplitDigest?: string;
}

export interface ZstdChunkedOptions {
  /** Files are cut into chunks of so many bytes; runs of zeros that are whole chunks are holes. Default 64 KiB. */
  readonly chunkBytes?: number;
  /** `undigested`: as early writers left it, with the position alone. `none`: earlier still. Default `digested`. */
  readonly tarSplit?: "digested" | "undigested" | "none";
  /** What stands behind the last member. Default: two blocks of zeros. */
  readonly trailer?: Uint8Array;
  /** Changes the table of contents before it is written. */
  readonly edit?: (toc: TocDocument) => void;
  /** Changes the lines of the tar-split before they are written. */
  readonly editTarSplit?: (lines: string) => string;
  /** In the place of the right one. */
  readonly footer?: Buffer;
}

export interface ChunkedLayerFixture {
  readonly blob: Buffer;
  readonly descriptor: Descriptor;
  readonly tar: Buffer;
  readonly diffId: Digest;
  /** The table of contents as JSON. */
  readonly toc: Buffer;
}

const MIB = 1 << 20;
export const frame = (...parts: Uint8Array[]): Buffer => zstdCompressSync(Buffer.concat(parts));

export function skippable(content: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a50, 0);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, content]);
}

export function u64s(values: readonly number[], magic: string): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [at, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), 8 * at);
  return Buffer.concat([bytes, Buffer.from(magic)]);
}

export function zstdChunkedLayer(
  members: readonly ChunkedMember[],
  options: ZstdChunkedOptions = {},
): ChunkedLayerFixture {
  const { trailer = TAR_END, tarSplit = "digested" } = options;
  const frames: Buffer[] = [];
  const tar: Uint8Array[] = [];
  const entries: TocRecord[] = [];
  let offset = 0;
  const put = (bytes: Buffer): number => {
    frames.push(bytes);
    offset += bytes.length;
    return offset;
  };
  let pending: Uint8Array[] = [];
  for (const member of members) {
    const { content = Buffer.alloc(0) } = member;
    const header = headerOf(member);
    pending.push(header);
    const padding = tarPadding(content.length);
    tar.push(header, content, padding);
    if (content.length === 0) {
      entries.push(tocRecord(member));
      continue;
    }
    put(frame(...pending));
    pending = [padding];
    entries.push(...payload(member, content, put, () => offset, options.chunkBytes ?? MIB / 16));
  }
  tar.push(trailer);
  put(frame(...pending, trailer));
  const whole = Buffer.concat(tar);
  const split = Buffer.from((options.editTarSplit ?? ((lines) => lines))(record(whole).split));
  const packedSplit = frame(split);
  const document: TocDocument = {
    version: 1,
    entries,
    ...(tarSplit === "digested" && { tarSplitDigest: digestOf(packedSplit) }),
  };
  options.edit?.(document);
  const toc = Buffer.from(JSON.stringify(document));
  const packedToc = frame(toc);
  const tocAt = offset + 8;
  const splitAt = tocAt + packedToc.length + 8;
  put(skippable(packedToc));
  if (tarSplit !== "none") put(skippable(packedSplit));
  const positions = [tocAt, packedToc.length, toc.length, 1, splitAt, packedSplit.length, split.length];
  put(options.footer ?? skippable(u64s(positions, "GNUlInUx")));
  const blob = Buffer.concat(frames);
  const annotations = {
    "io.github.containers.zstd-chunked.manifest-checksum": digestOf(packedToc),
    "io.github.containers.zstd-chunked.manifest-position": positions.slice(0, 4).join(":"),
    ...(tarSplit !== "none" && { "io.github.containers.zstd-chunked.tarsplit-position": positions.slice(4).join(":") }),
  };
  const mediaType = "application/vnd.oci.image.layer.v1.tar+zstd";
  const descriptor = { mediaType, digest: digestOf(blob), size: blob.length, annotations };
  return { blob, descriptor, tar: whole, diffId: digestOf(whole), toc };
}

/** The frames of a file, and its entries. */
function payload(
  member: ChunkedMember,
  content: Buffer,
  put: (bytes: Buffer) => number,
  position: () => number,
  chunkBytes: number,
): TocRecord[] {
  const startOffset = position();
  const chunks: Record<string, unknown>[] = [];
  for (let at = 0; at < content.length; at += chunkBytes) {
    const chunk = content.subarray(at, at + chunkBytes);
    chunks.push({
      offset: position(),
      chunkSize: chunk.length,
      chunkOffset: at,
      chunkDigest: digestOf(chunk),
      ...(chunk.every((byte) => byte === 0) && { chunkType: "zeros" }),
    });
    put(frame(chunk));
  }
  const [first = {}, ...others] = chunks;
  const entry = {
    ...tocRecord(member),
    ...(others.length > 0 ? first : { offset: startOffset }),
    endOffset: position(),
  };
  const records: Record<string, unknown>[] = [entry];
  for (const chunk of others) records.push({ type: "chunk", name: member.name, ...chunk });
  return records.map((one) => withoutZeros(one) as TocRecord);
}
