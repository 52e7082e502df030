/** Twenty images of a few builds each, which share layers as the tags of real repositories do. */
import { buildImage } from "../kit/images/build-image.ts";
import { buildLayer, type KitLayer } from "../kit/images/build-layer.ts";
import { createRng, type Rng } from "../kit/images/rng.ts";
import { file } from "../kit/trees/tree-node.ts";
import { publish, type PublishedImage } from "../faults/lib/published-image.ts";
import { realFiles } from "../faults/lib/real-image.ts";

export const IMAGES = 20;
const BASES = 4;

/** @param owners repositories that get all of them: `p0`, `p1` ... @returns by owner, in the same order for all */
export async function publishImages(
  host: string,
  owners: readonly string[],
  seed: number,
  layerBytes: number,
): Promise<ReadonlyMap<string, readonly PublishedImage[]>> {
  const rng = createRng(seed);
  const bases: KitLayer[] = [];
  for (let at = 0; at < BASES; at++) bases.push(await buildLayer(realFiles(layerBytes * 3, at * layerBytes * 3)));
  const shared: KitLayer[] = [];
  for (let at = 0; at < 8; at++) shared.push(await randomLayer(rng, `shared${at}`, layerBytes));
  const published = new Map<string, PublishedImage[]>(owners.map((owner) => [owner, []]));
  for (let number = 0; number < IMAGES; number++) {
    const own = await randomLayer(rng, `own${number}`, layerBytes / 4);
    const image = await buildImage({ layers: [bases[number % BASES]!, rng.pick(shared), rng.pick(shared), own] });
    for (const [owner, images] of published) {
      images.push(await publish(host, `${owner}/app${number % BASES}`, `v${number}`, image));
    }
  }
  return published;
}

async function randomLayer(rng: Rng, name: string, bytes: number): Promise<KitLayer> {
  const compression = rng.pick(["gzip", "zstd", "none"] as const);
  return buildLayer([file(name, rng.bytes(Math.round(bytes * (0.3 + rng.int(100) / 70))))], { compression });
}
