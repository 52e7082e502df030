/**
 * What of a zstd:chunked image is new next to another one, by their tables of contents: the least that anybody who fetches frames can
 * get away with. Each content counts once, as it lies in the blob, so at the level of whoever wrote it.
 */
import { buffer } from "node:stream/consumers";
import { zstdDecompressSync } from "node:zlib";
import { readTocAnnotations } from "../../../src/transfer/toc-annotations.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { layersOf, openLayer } from "./registry-image.ts";

interface Entry {
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

export interface ChangedContent {
  /** Of new and changed files: all of their frames. */
  readonly files: number;
  /** Of their frames, those whose content the old image has nowhere: the floor. */
  readonly chunks: number;
  /** Of the layers that the old image has not: what says what is in them. */
  readonly tables: number;
  /** Bytes of all layers. */
  readonly image: number;
  /** Of the layers that the old image has not. */
  readonly layers: number;
}

interface Layer {
  readonly descriptor: Descriptor;
  readonly tableBytes: number;
  readonly entries: readonly Entry[];
}

/** @param older @param newer `HOST/NAME:TAG`, of a registry that speaks plain HTTP */
export async function changedContent(older: string, newer: string): Promise<ChangedContent> {
  const before = await tablesOf(older);
  const here = new Set(before.map(({ descriptor }) => descriptor.digest));
  const known = new Set<string>();
  for (const { entries } of before) for (const piece of piecesOf(entries)) known.add(piece.file).add(piece.chunk);
  const sum = { files: 0, chunks: 0, tables: 0, image: 0, layers: 0 };
  for (const { descriptor, tableBytes, entries } of await tablesOf(newer)) {
    sum.image += descriptor.size;
    if (here.has(descriptor.digest)) continue;
    sum.layers += descriptor.size;
    sum.tables += tableBytes;
    const files = new Set<string>();
    for (const { file, chunk, bytes } of piecesOf(entries)) {
      if (known.has(file) && !files.has(file)) continue;
      files.add(file);
      sum.files += bytes;
      if (!known.has(chunk)) sum.chunks += bytes;
      known.add(file).add(chunk);
    }
  }
  return sum;
}

interface Piece {
  readonly file: string;
  readonly chunk: string;
  readonly bytes: number;
}

/** Frames that have content. */
function* piecesOf(entries: readonly Entry[]): Generator<Piece> {
  let file: Entry | undefined;
  for (const [index, entry] of entries.entries()) {
    if (entry.type === "reg") file = entry;
    else if (entry.type !== "chunk") continue;
    if (file?.digest === undefined || (file.size ?? 0) === 0 || entry.chunkType === "zeros") continue;
    const next = entries.slice(index + 1, index + 2).find(({ type }) => type === "chunk");
    const end = next?.offset ?? file.endOffset ?? 0;
    yield { file: file.digest, chunk: entry.chunkDigest ?? file.digest, bytes: end - (entry.offset ?? 0) };
  }
}

async function tablesOf(image: string): Promise<Layer[]> {
  const layers: Layer[] = [];
  for (const descriptor of await layersOf(image)) {
    const annotations = readTocAnnotations(descriptor);
    if (annotations?.dialect !== "podman") throw new Error(`${image} is not zstd:chunked`);
    const { offset, compressed } = annotations.toc;
    const table = await buffer(await openLayer(image, descriptor, { start: offset, end: offset + compressed }));
    const { entries } = JSON.parse(String(zstdDecompressSync(table))) as { entries: Entry[] };
    layers.push({ descriptor, tableBytes: compressed + (annotations.tarSplit?.compressed ?? 0), entries });
  }
  return layers;
}
