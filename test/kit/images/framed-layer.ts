/**
 * Layers of a chunked format that exists only in tests, so that what a pull does with any such format can be tested apart from the real ones:
 * headers and files are frames of their own, and a table of contents in JSON follows them.
 */
import { deflateRawSync, inflateRawSync, zstdCompressSync } from "node:zlib";
import type { PieceTable } from "../../../src/codec/piece-table.ts";
import { VarveError } from "../../../src/errors/varve-error.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { costOf, type Plan } from "../../../src/plan/plan.ts";
import type { Segment } from "../../../src/recipe/segment.ts";
import type { ChunkedFormat, TableOfContents } from "../../../src/transfer/chunked/format.ts";
import type { TreeNode } from "../trees/tree-node.ts";
import { layerOf, type KitLayer } from "./build-layer.ts";
import { packNode } from "./pack-tree.ts";

const TOC = "io.github.containers.zstd-chunked.manifest-checksum";
const PLACE = "test.varve/toc";

interface Row {
  readonly headers?: string;
  readonly file?: {
    readonly name: string;
    readonly size: number;
    readonly digest: Digest;
    readonly start: number;
    readonly length: number;
  };
}

export interface FramedOptions {
  /** Changes the table before it is written: to lie, or to be refused. */
  readonly spoil?: (rows: Row[]) => unknown;
}

export function framedLayer(nodes: readonly TreeNode[], { spoil = (rows) => rows }: FramedOptions = {}): KitLayer {
  const tar: Uint8Array[] = [];
  const blob: Buffer[] = [];
  const rows: Row[] = [];
  let at = 0;
  const frame = (bytes: Uint8Array): number => {
    const compressed = zstdCompressSync(bytes);
    blob.push(compressed);
    tar.push(bytes);
    at += compressed.length;
    return compressed.length;
  };
  let padding: Uint8Array = new Uint8Array();
  const headers = (bytes: Uint8Array): void => {
    rows.push({ headers: deflateRawSync(bytes).toString("base64") });
    frame(bytes);
  };
  for (const node of nodes) {
    const [header, content, after] = packNode(node) as [Uint8Array, Uint8Array, Uint8Array];
    headers(Buffer.concat([padding, header]));
    padding = after;
    if (content.length === 0) continue;
    const start = at;
    const digest = digestOf(content);
    rows.push({ file: { name: node.path, size: content.length, digest, start, length: frame(content) } });
  }
  headers(Buffer.concat([padding, Buffer.alloc(1024)]));
  const toc = Buffer.from(JSON.stringify(spoil(rows)));
  const skippable = Buffer.alloc(8);
  skippable.writeUInt32LE(0x184d2a50, 0);
  skippable.writeUInt32LE(toc.length, 4);
  const annotations = { [TOC]: digestOf(toc), [PLACE]: `${at + 8}:${toc.length}` };
  const bytes = Buffer.concat([...blob, skippable, toc]);
  return layerOf(Buffer.concat(tar), bytes, "application/vnd.oci.image.layer.v1.tar+zstd", annotations);
}

/** What `formatOf` is for these layers. */
export function framedFormat({ annotations = {} }: Descriptor): ChunkedFormat | undefined {
  const [start = 0, length = 0] = annotations[PLACE]?.split(":").map(Number) ?? [];
  if (length === 0) return undefined;
  return {
    how: "zstd-chunked",
    tocBytes: length,
    async open({ blob, diffId }, { blobs, signal }): Promise<TableOfContents> {
      const chunks: Uint8Array[] = [];
      const range = { start, end: start + length };
      for await (const chunk of blobs.readBlob(blob, { range, signal })) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (digestOf(bytes) !== annotations[TOC]) throw new VarveError("TOC_INVALID", "it has another digest");
      const rows = JSON.parse(bytes.toString("utf8")) as Row[] | { refused: string; rows: Row[] };
      if (!Array.isArray(rows)) return { pieces: tableOf(filesOf(rows.rows)), plan: () => Promise.resolve(rows) };
      const files = filesOf(rows);
      return { pieces: tableOf(files), plan: (held) => Promise.resolve(planOf(blob, diffId, rows, held)) };
    },
  };
}

type File = NonNullable<Row["file"]>;

const filesOf = (rows: readonly Row[]): File[] => rows.flatMap(({ file }) => file ?? []);

function tableOf(files: readonly File[]): PieceTable {
  return {
    length: files.length,
    size: (piece) => files[piece]!.size,
    digest: (piece) => files[piece]!.digest,
    name: (piece) => files[piece]!.name,
  };
}

function inflate(headers: string | undefined): Buffer {
  return headers === undefined ? Buffer.alloc(0) : inflateRawSync(Buffer.from(headers, "base64"));
}

function planOf(
  blob: Descriptor,
  diffId: Digest,
  rows: readonly Row[],
  held: Parameters<TableOfContents["plan"]>[0],
): Plan {
  let piece = 0;
  const segments = rows.map(({ headers, file }): Segment => {
    if (file === undefined) return { kind: "data", bytes: inflate(headers) };
    const { size, digest, start, length } = file;
    const place = held.get(piece++);
    if (place !== undefined) return { kind: "local", ...place, length: size, digest };
    return { kind: "frames", blob, start, length, codec: "zstd", size, digest };
  });
  const size = rows.reduce((sum, { headers, file }) => sum + (file?.size ?? inflate(headers).length), 0);
  return {
    how: "zstd-chunked",
    recipe: { target: { digest: diffId, size }, segments },
    cost: costOf(segments),
    why: "what is here is not fetched",
  };
}
