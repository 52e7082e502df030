/** Tars as layers have them, tar-diffs of them, and what these make. */
import { encodeTarEntry, tarPadding } from "../../src/codec/tar/header.ts";
import type { TarEntry } from "../../src/codec/tar/entry.ts";
import { TarMembers } from "../../src/codec/tar-diff/tar-members.ts";
import { memoryBase } from "../../src/codec/librsync/base.ts";
import { tarDiffSegments, type TarDiffSource } from "../../src/plan/tar-diff.ts";
import type { SeekableTar } from "../../src/layer/seekable/seekable-tar.ts";
import type { Segment } from "../../src/recipe/segment.ts";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { inPieces } from "./streams.ts";

export type Member = readonly [name: string, content: Uint8Array | string, entry?: Partial<TarEntry>];

export function tarOf(...members: readonly Member[]): Buffer {
  const parts = members.flatMap(([name, given, entry]) => {
    const content = Buffer.from(given);
    const sizes = { size: content.length, storedSize: content.length };
    return [
      encodeTarEntry({ type: "file", name, mode: 0o644, ...sizes, ...entry }),
      content,
      tarPadding(content.length),
    ];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

export const MEMORY_PATH = "/base.tar";

/** A tar in memory that says of all its bytes that they lie in one file. */
export function memoryTar(bytes: Uint8Array): SeekableTar {
  return {
    ...memoryBase(bytes),
    *parts(start, length) {
      yield { kind: "file", path: MEMORY_PATH, start, length };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Operations as they stand in a delta: `[op, number]`, or `[op, bytes]` for those whose number is how many bytes follow. */
export type Op = readonly [op: number, value: number | Uint8Array | string];

export function opsOf(...ops: readonly Op[]): Buffer {
  return Buffer.concat(
    ops.flatMap(([op, value]) => {
      if (typeof value === "number") return [Buffer.of(op, ...leb(BigInt(value)))];
      const bytes = Buffer.from(value);
      return [Buffer.of(op, ...leb(BigInt(bytes.length))), bytes];
    }),
  );
}

export function leb(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...leb(value >> 7n)];
}

export const MAGIC = Buffer.from("tardf1\n\0", "latin1");

/** The delta that has these operations. */
export function deltaOf(ops: Uint8Array): Buffer {
  return Buffer.concat([MAGIC, zstdCompressSync(ops)]);
}

export interface Applied {
  readonly bytes: Buffer;
  readonly segments: readonly Segment[];
}

/** What the planner makes of base and delta, by its segments; `held` bytes come out as zeros. */
export async function apply(
  base: Uint8Array,
  delta: Uint8Array,
  options: Partial<TarDiffSource> & { readonly piece?: number } = {},
): Promise<Applied> {
  const tar = memoryTar(base);
  const { piece = 1000, ...more } = options;
  const members = await TarMembers.of(tar);
  const source = { base: tar, members, delta: () => inPieces(delta, piece), ...more };
  const segments = await Array.fromAsync(tarDiffSegments(source));
  const parts = segments.map((segment) => {
    if (segment.kind === "data") return segment.bytes;
    if (segment.kind === "held") return Buffer.alloc(segment.length);
    if (segment.kind === "local" && segment.path === MEMORY_PATH)
      return base.subarray(segment.start, segment.start + segment.length);
    throw new Error(`unexpected ${segment.kind}`);
  });
  return { bytes: Buffer.concat(parts), segments };
}

/** The operations of a delta, and what they make of the files of an unpacked tree: as plainly as can be, and by none of the code that is tested. */
export function applyPlainly(files: ReadonlyMap<string, Uint8Array>, delta: Uint8Array): Buffer {
  const ops = operationsOf(delta);
  const parts: Uint8Array[] = [];
  let file: Uint8Array = Buffer.alloc(0);
  let position = 0;
  for (let at = 0; at < ops.length;) {
    const op = ops[at++]!;
    let number = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = ops[at++]!;
      number += (byte & 127) * scale;
      if (byte < 128) break;
    }
    const bytes = op === 2 || op === 4 ? Buffer.alloc(0) : ops.subarray(at, (at += number));
    if (op === 0) parts.push(bytes);
    if (op === 1) file = files.get(bytes.toString())!;
    if (op === 1) position = 0;
    if (op === 2) parts.push(file.subarray(position, position + number));
    if (op === 3) parts.push(bytes.map((byte, index) => byte + file[position + index]!));
    if (op === 4) position = number;
    if (op === 2 || op === 3) position += number;
  }
  return Buffer.concat(parts);
}

export function operationsOf(delta: Uint8Array): Buffer {
  return zstdDecompressSync(delta.subarray(MAGIC.length));
}
