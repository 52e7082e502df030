/** Layers as the index over held content sees them, made of files that a test thinks up. */
import { mkdir, writeFile } from "node:fs/promises";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PlacedPieces } from "../../../src/codec/piece-table.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { HeldFile, HeldLayer } from "../../../src/store/local-sources/held-layer.ts";
import type { LocalPlace } from "../../../src/store/local-sources/types.ts";

export interface SampleFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface SampleLayer extends HeldLayer {
  /** How often its files were listed. */
  walks: number;
}

/** @param folder is made */
export async function sampleLayer(
  folder: string,
  form: HeldLayer["form"],
  files: readonly SampleFile[],
  facts: Partial<HeldLayer> = {},
): Promise<SampleLayer> {
  const root = join(folder, form === "tree" ? "fs" : "layer.tar");
  await mkdir(form === "tree" ? root : folder, { recursive: true });
  const held: HeldFile[] = [];
  const blocks: Uint8Array[] = [];
  let start = 0;
  for (const { path, bytes } of files) {
    held.push({ path, size: bytes.length, device: 0, start: form === "tree" ? 0 : start });
    if (form === "tree") {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), bytes);
      continue;
    }
    blocks.push(bytes, new Uint8Array((512 - (bytes.length % 512)) % 512));
    start += Math.ceil(bytes.length / 512) * 512;
  }
  if (form === "devices") await writeFile(root, Buffer.concat(blocks));
  const layer: SampleLayer = {
    folder,
    form,
    roots: [root],
    diffId: digestOf(folder),
    isCovered: false,
    kept: [digestOf(folder)],
    walks: 0,
    isThere: () => Promise.resolve(existsSync(root)),
    files: () => {
      layer.walks++;
      return held.filter(({ size }) => size > 0);
    },
    ...facts,
  };
  return layer;
}

export interface SamplePiece {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly start?: number;
  readonly digest?: Digest;
}

export function pieceTable(pieces: readonly SamplePiece[]): PlacedPieces {
  const digests = pieces.map(({ bytes, digest }) => digest ?? digestOf(bytes));
  return {
    length: pieces.length,
    size: (piece) => pieces[piece]?.bytes.length ?? 0,
    digest: (piece) => digests[piece],
    name: (piece) => pieces[piece]?.name ?? "",
    start: (piece) => pieces[piece]?.start ?? 0,
  };
}

/** The bytes at a place. */
export function readPlace({ path, start }: LocalPlace, size: number): Uint8Array {
  return Uint8Array.from(readFileSync(path).subarray(start, start + size));
}
