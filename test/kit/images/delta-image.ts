/** Delta images as balena's engine makes them (formats "balena-delta" §2), honest or not; with varve's annotations where that is asked for. */
import { memoryBase } from "../../../src/codec/librsync/base.ts";
import { writeDirectDelta } from "../../../src/codec/librsync/direct/generate.ts";
import { encodeTarEntry } from "../../../src/codec/tar/header.ts";
import {
  BASE_LABEL,
  CONFIG_LABEL,
  VARVE_DELTA_BASE,
  VARVE_DELTA_SIZE,
  VARVE_DELTA_TARGET,
} from "../../../src/oci/delta-names.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { buildImage, type KitImage } from "./build-image.ts";
import { buildLayer, type KitLayer } from "./build-layer.ts";

export interface DeltaImageOptions {
  /** Whether it has what varve adds. Default true. */
  readonly annotated?: boolean;
  /** Spoils the delta of each layer: librsync's bytes before they are wrapped. */
  readonly spoil?: (delta: Buffer, index: number) => Buffer;
  /** Spoils the tar that the delta of each layer is in. */
  readonly spoilTar?: (tar: Buffer, index: number) => Buffer;
  /** In place of the labels that it should have. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Layers that are left out although base and target do not share them. */
  readonly leaveOut?: readonly number[];
  /** In place of the true sizes. */
  readonly sizes?: readonly number[];
  readonly annotations?: Readonly<Record<string, string>>;
}

const EMPTY_TAR = Buffer.alloc(1024);

/** A tar of one file, `delta`. */
export function wrapDelta(delta: Uint8Array): Buffer {
  const size = delta.length;
  const entry = { type: "file", name: "delta", mode: 0o600, size, storedSize: size } as const;
  const header = encodeTarEntry(entry, { format: "ustar" });
  return Buffer.concat([header, delta, Buffer.alloc((512 - (size % 512)) % 512), EMPTY_TAR]);
}

export async function buildDeltaImage(
  base: KitImage,
  target: KitImage,
  options: DeltaImageOptions = {},
): Promise<KitImage> {
  const { annotated = true, spoil = (delta) => delta, spoilTar = (tar) => tar, leaveOut = [] } = options;
  const bytes = Buffer.concat(base.layers.map(({ tar }) => tar));
  const layers: KitLayer[] = [];
  let isCommon = true;
  for (const [index, layer] of target.layers.entries()) {
    isCommon &&= base.layers[index]?.diffId === layer.diffId;
    const size = options.sizes?.[index] ?? layer.tar.length;
    const annotations = annotated ? { annotations: { [VARVE_DELTA_SIZE]: String(size) } } : {};
    const tar = isCommon || leaveOut.includes(index) ? EMPTY_TAR : wrapDelta(spoil(await deltaOf(bytes, layer), index));
    layers.push(await buildLayer(spoilTar(tar, index), { flavour: "docker", ...annotations }));
  }
  const labels = { [BASE_LABEL]: base.config.digest, [CONFIG_LABEL]: target.config.bytes.toString() };
  const image = await buildImage({
    layers,
    flavour: "docker",
    platform: { os: "", architecture: "" },
    config: { Labels: { ...labels, ...options.labels } },
    annotations: {
      ...(annotated && {
        [VARVE_DELTA_BASE]: base.layers.map(({ diffId }) => diffId).join(" "),
        [VARVE_DELTA_TARGET]: target.digest,
      }),
      ...options.annotations,
    },
  });
  return withoutPlatform(image);
}

async function deltaOf(base: Uint8Array, { tar }: KitLayer): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeDirectDelta(memoryBase(base), inPieces(tar), { memory: 8 << 20 })));
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
  await Promise.resolve();
}

/** Balena's configs of deltas have neither `os` nor `architecture`. */
function withoutPlatform(image: KitImage): KitImage {
  const {
    os: _os,
    architecture: _architecture,
    ...config
  } = JSON.parse(image.config.bytes.toString()) as Record<string, unknown>;
  const bytes = Buffer.from(JSON.stringify(config));
  const digest = digestOf(bytes);
  const document = JSON.parse(image.bytes.toString()) as { config: Record<string, unknown> };
  const manifest = Buffer.from(
    JSON.stringify({ ...document, config: { ...document.config, digest, size: bytes.length } }),
  );
  const descriptor = { mediaType: image.descriptor.mediaType, digest: digestOf(manifest), size: manifest.length };
  const blobs = [...image.blobs.filter((blob) => blob.digest !== image.config.digest), { digest, bytes }];
  return { ...image, bytes: manifest, digest: descriptor.digest, descriptor, config: { digest, bytes }, blobs };
}
