/**
 * Writes layers of zstd:chunked for tests, and holds them to the format by reading them as formats "zstd-chunked" has it: from the annotations
 * alone, frame by frame, without the code that pulls use.
 */
import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { expect } from "vitest";
import type { TarEntry } from "../../src/codec/tar/entry.ts";
import { TarParser } from "../../src/codec/tar/parser.ts";
import { ZstdFrameWalker } from "../../src/codec/zstd/frame-walker.ts";
import { ZstdChunkedWriter, type ChunkedLayer } from "../../src/codec/zstd-chunked/writer.ts";

const PREFIX = "io.github.containers.zstd-chunked.";

export interface Written {
  readonly blob: Buffer;
  readonly layer: ChunkedLayer;
}

export interface WriteOptions {
  /** Bytes that the writer gets at once. Default 1 MiB. */
  readonly step?: number;
  /** Default 3. */
  readonly level?: number;
  readonly mostChunks?: number;
}

export async function chunked(
  tar: Uint8Array,
  { step = 1 << 20, level = 3, ...limits }: WriteOptions = {},
): Promise<Written> {
  const parts: Buffer[] = [];
  using writer = new ZstdChunkedWriter((bytes) => parts.push(Buffer.from(bytes)), { level, ...limits });
  for (let at = 0; at < tar.length; at += step) await writer.write(tar.subarray(at, at + step));
  const layer = await writer.end();
  return { blob: Buffer.concat(parts), layer };
}

export interface TocLine {
  readonly type: string;
  readonly name: string;
  readonly size?: number;
  readonly digest?: string;
  readonly offset?: number;
  readonly endOffset?: number;
  readonly chunkSize?: number;
  readonly chunkOffset?: number;
  readonly chunkDigest?: string;
  readonly chunkType?: string;
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** @returns the table of contents, once all of it has held */
export function checkChunked(
  tar: Buffer,
  { blob, layer }: Written,
): { readonly toc: string; readonly entries: readonly TocLine[] } {
  const annotation = (name: string): string => layer.annotations?.[PREFIX + name] ?? "";
  const numbers = (name: string): number[] => annotation(name).split(":").map(Number);
  const [tocAt = 0, tocBytes = 0, tocSize = 0, type] = numbers("manifest-position");
  const [splitAt = 0, splitBytes = 0, splitSize = 0] = numbers("tarsplit-position");
  expect(Object.keys(layer.annotations ?? {}).toSorted()).toEqual(
    ["manifest-checksum", "manifest-position", "tarsplit-position"].map((name) => PREFIX + name),
  );
  expect([type, splitAt, blob.length]).toEqual([1, tocAt + tocBytes + 8, splitAt + splitBytes + 72]);
  const footer = [tocAt, tocBytes, tocSize, 1, splitAt, splitBytes, splitSize];
  expect(Array.from({ length: 7 }, (_, i) => Number(blob.readBigUInt64LE(blob.length - 64 + 8 * i)))).toEqual(footer);
  expect(blob.toString("latin1", blob.length - 8)).toBe("GNUlInUx");

  const walker = new ZstdFrameWalker();
  walker.write(blob);
  walker.end();
  expect(zstdDecompressSync(blob).equals(tar)).toBe(true);

  const compressed = blob.subarray(tocAt, tocAt + tocBytes);
  expect(sha256(compressed)).toBe(annotation("manifest-checksum"));
  const toc = zstdDecompressSync(compressed).toString("utf8");
  expect(Buffer.byteLength(toc)).toBe(tocSize);
  const { version, entries, tarSplitDigest } = JSON.parse(toc) as {
    version: number;
    entries: TocLine[];
    tarSplitDigest: string;
  };
  const split = blob.subarray(splitAt, splitAt + splitBytes);
  expect([version, tarSplitDigest]).toEqual([1, sha256(split)]);
  const splitText = zstdDecompressSync(split);
  expect(splitText.length).toBe(splitSize);
  checkContents(tar, blob.subarray(0, tocAt - 8), entries);
  checkSplit(tar, splitText.toString("utf8"), blob, entries);
  return { toc, entries };
}

/** Each file is in the frames that its entry names, the frames between hold just what lies between, and chunks follow each other. */
function checkContents(tar: Buffer, data: Buffer, entries: readonly TocLine[]): void {
  const { members, other } = readMembers(tar);
  const files = entries.filter(({ type }) => type !== "chunk");
  expect(files.map(({ name, size = 0 }) => [name, size])).toEqual(
    members.map(({ entry }) => [entry.name, entry.stated?.size ?? entry.size]),
  );
  const gaps: Buffer[] = [];
  let before = 0;
  for (const [index, line] of files.entries()) {
    const content = members[index]!.content;
    if (content.length === 0) {
      expect([line.digest, line.offset, line.endOffset]).toEqual([undefined, undefined, undefined]);
      continue;
    }
    const { offset = 0, endOffset = 0 } = line;
    gaps.push(unpacked(data.subarray(before, offset)));
    before = endOffset;
    expect(unpacked(data.subarray(offset, endOffset)).equals(content)).toBe(true);
    expect(line.digest).toBe(sha256(content));
    checkChunks(content, data, [line, ...chunksBehind(entries, line)]);
  }
  gaps.push(unpacked(data.subarray(before)));
  expect(Buffer.concat(gaps).equals(other)).toBe(true);
}

function chunksBehind(entries: readonly TocLine[], line: TocLine): TocLine[] {
  const rest = entries.slice(entries.indexOf(line) + 1);
  const end = rest.findIndex(({ type }) => type !== "chunk");
  return rest.slice(0, end < 0 ? rest.length : end);
}

function checkChunks(content: Buffer, data: Buffer, chunks: readonly TocLine[]): void {
  const [whole] = chunks;
  if (chunks.length === 1) {
    expect([whole?.chunkSize, whole?.chunkDigest, whole?.chunkType]).toEqual([undefined, undefined, undefined]);
    return;
  }
  let at = 0;
  for (const [
    index,
    { name, offset = 0, chunkOffset = 0, chunkSize = 0, chunkDigest, chunkType },
  ] of chunks.entries()) {
    const end = chunks[index + 1]?.offset ?? whole?.endOffset;
    const part = content.subarray(at, at + chunkSize);
    expect([name, chunkOffset, chunkDigest]).toEqual([whole?.name, at, sha256(part)]);
    expect(unpacked(data.subarray(offset, end)).equals(part)).toBe(true);
    if (chunkType === "zeros") expect(part.every((byte) => byte === 0)).toBe(true);
    at += chunkSize;
  }
  expect(at).toBe(content.length);
}

/** What is no payload stands in the tar-split, and files in their places give the tar back. */
function checkSplit(tar: Buffer, split: string, blob: Buffer, entries: readonly TocLine[]): void {
  const parts: Buffer[] = [];
  for (const line of split.split("\n").filter((text) => text !== "")) {
    const {
      type,
      name,
      size = 0,
      payload,
    } = JSON.parse(line) as {
      type: number;
      name: string;
      size?: number;
      payload: string | null;
    };
    if (type === 2) parts.push(Buffer.from(payload ?? "", "base64"));
    else if (size > 0) {
      const { offset, endOffset } = entries.find((entry) => entry.name === name && entry.type === "reg")!;
      parts.push(unpacked(blob.subarray(offset, endOffset)));
    }
  }
  expect(Buffer.concat(parts).equals(tar)).toBe(true);
}

function unpacked(frames: Buffer): Buffer {
  return frames.length === 0 ? Buffer.alloc(0) : zstdDecompressSync(frames);
}

function readMembers(tar: Buffer): { members: { entry: TarEntry; content: Buffer }[]; other: Buffer } {
  const members: { entry: TarEntry; content: Buffer }[] = [];
  const other: Buffer[] = [];
  const parser = new TarParser({
    raw: (bytes) => other.push(Buffer.from(bytes)),
    entry: (entry) => members.push({ entry, content: Buffer.alloc(0) }),
    data(bytes) {
      const last = members.at(-1)!;
      last.content = Buffer.concat([last.content, bytes]);
    },
    endEntry: () => undefined,
  });
  parser.write(tar);
  parser.end();
  return { members, other: Buffer.concat(other) };
}
