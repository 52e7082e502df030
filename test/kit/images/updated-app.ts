/** Two versions of an image for deltas: a layer in common, one that is nearly as it was, a new one, and an empty one twice. */
import { createRng } from "./rng.ts";
import { buildImage, type KitImage } from "./build-image.ts";
import { buildLayer, type KitLayer, type LayerOptions } from "./build-layer.ts";
import { directory, file, type TreeNode } from "../trees/tree-node.ts";

export interface UpdatedApp {
  readonly base: KitImage;
  readonly target: KitImage;
}

export async function updatedApp(options: LayerOptions = {}): Promise<UpdatedApp> {
  const rng = createRng(11);
  const [library, program, data] = [rng.text(300_000), rng.bytes(200_000), rng.bytes(150_000)];
  const changed = Buffer.concat([program.subarray(0, 90_000), rng.bytes(500), program.subarray(90_100)]);
  const layer = (...nodes: readonly TreeNode[]): Promise<KitLayer> => buildLayer(nodes, options);
  const [below, above, newer, fresh, none] = await Promise.all([
    layer(directory("usr"), file("usr/library", library)),
    layer(directory("opt"), file("opt/program", program), file("opt/data", data)),
    layer(directory("opt"), file("opt/data", data), file("opt/program", changed)),
    layer(file("fresh", rng.bytes(60_000))),
    layer(),
  ]);
  return {
    base: await buildImage({ ...options, layers: [below, above] }),
    target: await buildImage({ ...options, layers: [below, newer, none, fresh, none] }),
  };
}
