/**
 * An image of real files: packages of this checkout's dependencies, which compress as software does, beside random bytes,
 * which do not, in layers of every compression, large and tiny, the last of which replaces, deletes and links to what is below it.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, type KitImage } from "../../kit/images/build-image.ts";
import { buildLayer, type KitLayer } from "../../kit/images/build-layer.ts";
import type { Compression } from "../../kit/images/compress.ts";
import { createRng } from "../../kit/images/rng.ts";
import { directory, file, hardlink, symlink, whiteout, type TreeNode } from "../../kit/trees/tree-node.ts";

const PACKAGES = fileURLToPath(new URL("../../../node_modules", import.meta.url));

export interface RealImageOptions {
  /** Of random content. Default 1. */
  readonly seed?: number;
  /** About how many bytes its compressed layers have together. */
  readonly bytes: number;
  /** Part of `bytes` that is in the one largest layer. Default 0.45. */
  readonly largest?: number;
}

export interface RealImage extends KitImage {
  /** Of each layer, from the lowest. */
  readonly members: readonly (readonly TreeNode[])[];
}

export async function buildRealImage({ seed = 1, bytes, largest = 0.45 }: RealImageOptions): Promise<RealImage> {
  const rng = createRng(seed);
  const random = (size: number): Buffer => rng.bytes(Math.max(1000, Math.round(size)));
  // Software compresses to about a fourth; what it leaves of the size is random.
  const software = realFiles(Math.round(bytes * (1 - largest) * 0.4 * 4));
  const half = Math.ceil(software.length / 2);
  const programs = await layerOf([directory("usr"), ...software.slice(0, half)], "gzip");
  const libraries = await layerOf(software.slice(half), "zstd");
  const rest = bytes * (1 - largest) - programs.bytes.length - libraries.bytes.length;
  const last = [
    directory("etc"),
    file("etc/release", `image ${seed}\n`),
    whiteout("srv/index.bin"),
    // Nobody can tell what it is before the lower layers are there.
    hardlink("etc/cache", "srv/cache.bin"),
  ];
  const layers = [
    programs,
    await layerOf([directory("srv"), file("srv/model.bin", random(bytes * largest))], "gzip"),
    libraries,
    await layerOf([file("srv/index.bin", random(rest * 0.75))], "none"),
    await layerOf([file("srv/cache.bin", random(rest * 0.25)), symlink("srv/latest", "cache.bin")], "zstd"),
    await layerOf(last, "gzip"),
  ];
  return { ...(await buildImage({ layers })), members: layers.map(({ members }) => members) };
}

/** A layer that remembers what it was made of. */
export async function layerOf(
  members: readonly TreeNode[],
  compression: Compression,
): Promise<KitLayer & { readonly members: readonly TreeNode[] }> {
  return { ...(await buildLayer(members, { compression })), members };
}

/** Files of installed packages in the order of their names, about so many bytes of them, with their directories. */
export function realFiles(bytes: number, skip = 0): TreeNode[] {
  const nodes: TreeNode[] = [];
  const made = new Set<string>();
  let found = 0;
  for (const path of walk(PACKAGES)) {
    const { size } = statSync(path);
    found += size;
    if (found <= skip) continue;
    const name = `usr/lib/${relative(PACKAGES, path)}`;
    for (const parent of parents(name)) {
      if (!made.has(parent)) nodes.push(directory(parent));
      made.add(parent);
    }
    nodes.push(file(name, readFileSync(path)));
    if (found - skip >= bytes) break;
  }
  return nodes;
}

function* walk(path: string): Generator<string> {
  const entries = readdirSync(path, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) yield* walk(join(path, entry.name));
    // Single large programs would be most of the image.
    else if (entry.isFile() && statSync(join(path, entry.name)).size < 4_000_000) yield join(path, entry.name);
  }
}

function parents(name: string): string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}
