/** Twenty images of a few builds each, which share layers as the tags of real repositories do, and pieces of layers that are chunked. */
import { buildImage } from "../kit/images/build-image.ts";
import { createRng, type Rng } from "../kit/images/rng.ts";
import { publish, type PublishedImage } from "../faults/lib/published-image.ts";
import { layerOf, realFiles } from "../faults/lib/real-image.ts";
import { chunkedLayer } from "../kit/images/chunked-layer.ts";
import { directory, file } from "../kit/trees/tree-node.ts";

export const IMAGES = 20;
const BASES = 4;

type Layer = Awaited<ReturnType<typeof layerOf>>;

/** @param owners repositories that get all of them: `p0`, `p1` ... @returns by owner, in the same order for all */
export async function publishImages(
  host: string,
  owners: readonly string[],
  seed: number,
  layerBytes: number,
): Promise<ReadonlyMap<string, readonly PublishedImage[]>> {
  const rng = createRng(seed);
  const bases: Layer[] = [];
  for (let at = 0; at < BASES; at++) bases.push(await layerOf(realFiles(layerBytes * 3, at * layerBytes * 3), "gzip"));
  const shared: Layer[] = [];
  for (let at = 0; at < 8; at++) shared.push(await randomLayer(rng, `shared${at}`, layerBytes));
  const data = rng.bytes(layerBytes);
  const published = new Map<string, PublishedImage[]>(owners.map((owner) => [owner, []]));
  for (let number = 0; number < IMAGES; number++) {
    const own = await randomLayer(rng, `own${number}`, layerBytes / 4);
    const app = await chunkedVersion(rng, data, number);
    const layers = [bases[number % BASES]!, rng.pick(shared), app, rng.pick(shared), own];
    const image = await buildImage({ layers });
    const members = layers.map((layer) => layer.members);
    for (const [owner, images] of published) {
      images.push(await publish(host, `${owner}/app${number % BASES}`, `v${number}`, image, members));
    }
  }
  return published;
}

async function randomLayer(rng: Rng, name: string, bytes: number): Promise<Layer> {
  const compression = rng.pick(["gzip", "zstd", "none"] as const);
  return layerOf([file(name, rng.bytes(Math.round(bytes * (0.3 + rng.int(100) / 70))))], compression);
}

/** Most of it is in all of them; each has some bytes of its own within the largest file, and a file. */
async function chunkedVersion(rng: Rng, data: Buffer, number: number): Promise<Layer> {
  const at = rng.int(data.length);
  const members = [
    directory("app"),
    file("app/data", Buffer.concat([data.subarray(0, at), rng.bytes(500), data.subarray(at)])),
    file(`app/own${number}`, rng.bytes(data.length >> 4)),
  ];
  return { ...(await chunkedLayer(members)), members };
}
