/** Delta images between images for tests (formats "balena-delta" §2): as balena's engine makes them, or with varve's annotations. */
import { memoryBase } from "../../../src/codec/librsync/base.ts";
import { writeDirectDelta } from "../../../src/codec/librsync/direct/generate.ts";
import { encodeTarEntry, TAR_END, tarPadding } from "../../../src/codec/tar/header.ts";
import { chainIds } from "../../../src/oci/chain-id.ts";
import {
  BASE_LABEL,
  CONFIG_LABEL,
  VARVE_DELTA_BASE,
  VARVE_DELTA_SIZE,
  VARVE_DELTA_TARGET,
} from "../../../src/oci/delta-names.ts";
import { buildImage, type KitImage } from "./build-image.ts";
import { buildLayer, type KitLayer } from "./build-layer.ts";

export interface BuildDeltaOptions {
  /** Whether base, target and sizes are told in annotations. Default true. */
  readonly annotated?: boolean;
  /** The deltas in the place of those that are made. */
  readonly deltas?: readonly Uint8Array[];
}

export async function buildDelta(
  base: KitImage,
  target: KitImage,
  { annotated = true, deltas = [] }: BuildDeltaOptions = {},
): Promise<KitImage> {
  const below = chainIds(base.layers.map(({ diffId }) => diffId));
  const above = chainIds(target.layers.map(({ diffId }) => diffId));
  const stream = Buffer.concat(base.layers.map(({ tar }) => tar));
  const layers: KitLayer[] = [];
  for (const [index, { tar }] of target.layers.entries()) {
    const isCommon = below[index] === above[index];
    const inner = isCommon ? TAR_END : inTar(deltas[index] ?? (await deltaOf(stream, tar)));
    const annotations = annotated ? { [VARVE_DELTA_SIZE]: String(tar.length) } : {};
    layers.push(await buildLayer(inner, { flavour: "docker", ...(annotated && { annotations }) }));
  }
  const annotations = {
    [VARVE_DELTA_BASE]: base.layers.map(({ diffId }) => diffId).join(" "),
    [VARVE_DELTA_TARGET]: target.digest,
  };
  const Labels = { [BASE_LABEL]: base.config.digest, [CONFIG_LABEL]: target.config.bytes.toString() };
  return buildImage({ layers, flavour: "docker", config: { Labels }, ...(annotated && { annotations }) });
}

export async function deltaOf(base: Uint8Array, target: Uint8Array): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    yield target;
  })();
  for await (const piece of writeDirectDelta(memoryBase(base), source, { memory: 4 << 20 })) pieces.push(piece);
  return Buffer.concat(pieces);
}

function inTar(delta: Uint8Array): Buffer {
  const { length: size } = delta;
  const head = encodeTarEntry({ name: "delta", type: "file", mode: 0o600, size });
  return Buffer.concat([head, delta, tarPadding(size), TAR_END]);
}
