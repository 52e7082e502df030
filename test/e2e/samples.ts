/** Images for the end-to-end tests: small, of real kinds of members, and each seed's unlike the others'. */
import { buildImage, type ImageOptions, type KitImage } from "../kit/images/build-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { directory, file, symlink, whiteout, type TreeNode } from "../kit/trees/tree-node.ts";

/** Three layers of which the last replaces and deletes. */
export function sampleLayers(seed = 1, bytes = 40_000): TreeNode[][] {
  const rng = createRng(seed);
  return [
    [
      directory("etc"),
      file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
      file("etc/gone", "x"),
      file("base", rng.bytes(bytes)),
    ],
    [directory("srv"), file("srv/app", rng.text(bytes)), symlink("srv/link", "app")],
    [directory("etc"), whiteout("etc/gone"), file("etc/new", `made by ${seed}\n`), file("late", rng.bytes(bytes))],
  ];
}

export function sampleImage(seed = 1, options: Partial<ImageOptions> = {}): Promise<KitImage> {
  return buildImage({ layers: sampleLayers(seed), ...options });
}

/** Layers of bytes that do not compress, stored as they are, so that sizes are known: about `bytes` each. */
export function bulkImage(seed: number, ...bytes: readonly number[]): Promise<KitImage> {
  const rng = createRng(seed);
  return buildImage({ compression: "none", layers: bytes.map((size, at) => [file(`bulk${at}`, rng.bytes(size))]) });
}

export function layerBytes(image: KitImage): number {
  return image.layers.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** Two images of three layers of about `bytes` each, the first two of which they have in common. */
export async function overlappingImages(seed: number, bytes: number): Promise<[KitImage, KitImage]> {
  const rng = createRng(seed);
  const [base, shared, first, second] = ["base", "shared", "first", "second"].map((name) => [
    file(name, rng.bytes(bytes)),
  ]);
  const build = (last: TreeNode[] = []) =>
    buildImage({ compression: "none", layers: [base ?? [], shared ?? [], last] });
  return [await build(first), await build(second)];
}
