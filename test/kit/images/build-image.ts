/** Images for tests: honest ones, and with `lies` the ones that hostile or broken registries hold. */
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { Platform } from "../../../src/oci/platform.ts";
import type { TreeNode } from "../trees/tree-node.ts";
import { buildLayer, type KitLayer, type LayerOptions } from "./build-layer.ts";
import { DOCUMENT_TYPES } from "./compress.ts";
import { configLie, layerLie, padTo, type ImageLies } from "./lies.ts";

export interface ImageOptions extends LayerOptions {
  /** From the lowest up: members, tars, or layers that were built already. */
  readonly layers: readonly (readonly TreeNode[] | Uint8Array | KitLayer)[];
  /** Default linux/amd64. */
  readonly platform?: Platform;
  /** Merged into the config's `config` (Env, Cmd, ...). */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly lies?: ImageLies;
}

/** Bytes that a registry or a layout holds under a digest (which they need not have, when they are part of a lie). */
export interface KitBlob {
  readonly digest: Digest;
  readonly bytes: Buffer;
}

export interface KitImage extends KitBlob {
  readonly kind: "image";
  readonly descriptor: Descriptor;
  readonly platform: Platform;
  readonly config: KitBlob;
  readonly layers: readonly KitLayer[];
  /** What has to be pushed before the manifest: layers, then the config. */
  readonly blobs: readonly KitBlob[];
}

export interface KitIndex extends KitBlob {
  readonly kind: "index";
  readonly descriptor: Descriptor;
  readonly images: readonly KitImage[];
}

export async function buildImage(options: ImageOptions): Promise<KitImage> {
  const { flavour = "oci", platform = { os: "linux", architecture: "amd64" }, lies = {} } = options;
  const layers = await Promise.all(options.layers.map((layer) => toLayer(layer, options)));
  const config = configBytes(layers, platform, options);
  const configDescriptor = { mediaType: DOCUMENT_TYPES[flavour].config, digest: digestOf(config), size: config.length };
  const told = layers.map((layer, index) => layerLie(layer, lies.layers?.[index]));
  const toldConfig = configLie(config, configDescriptor, lies.config);
  const manifest = {
    schemaVersion: 2,
    mediaType: DOCUMENT_TYPES[flavour].manifest,
    ...(options.artifactType !== undefined && { artifactType: options.artifactType }),
    config: toldConfig.descriptor,
    layers: [...told.map((layer) => layer.descriptor), ...(lies.extraLayers ?? [])],
    ...(options.subject !== undefined && { subject: options.subject }),
    ...(options.annotations !== undefined && { annotations: options.annotations }),
    ...lies.manifest,
  };
  const bytes = padTo(lies.manifestBytes ?? 0, manifest);
  const descriptor = {
    mediaType: DOCUMENT_TYPES[flavour].manifest,
    digest: digestOf(bytes),
    size: bytes.length,
    platform,
  };
  const blobs = [...told, toldConfig].flatMap(({ blob }) => (blob === undefined ? [] : [blob]));
  const kitConfig = { digest: configDescriptor.digest, bytes: config };
  return { kind: "image", bytes, digest: descriptor.digest, descriptor, platform, config: kitConfig, layers, blobs };
}

/** An index over images, each under its own platform. */
export function buildIndex(images: readonly KitImage[], options: Pick<LayerOptions, "flavour"> = {}): KitIndex {
  const mediaType = DOCUMENT_TYPES[options.flavour ?? "oci"].index;
  const manifests = images.map((image) => ({ ...image.descriptor, platform: platformJson(image.platform) }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  return { kind: "index", bytes, digest: descriptor.digest, descriptor, images };
}

async function toLayer(layer: ImageOptions["layers"][number], options: LayerOptions): Promise<KitLayer> {
  return "diffId" in layer ? layer : buildLayer(layer, options);
}

function configBytes(layers: readonly KitLayer[], platform: Platform, options: ImageOptions): Buffer {
  const { lies = {} } = options;
  const created = "2023-11-14T22:13:20Z";
  const diffIds = layers.map((layer, index) => lies.layers?.[index]?.diffId ?? layer.diffId);
  const document = {
    created,
    ...platformJson(platform),
    config: { Cmd: ["/bin/sh"], Env: ["PATH=/usr/bin:/bin"], ...options.config },
    rootfs: { type: "layers", diff_ids: [...diffIds, ...(lies.extraDiffIds ?? [])] },
    history: layers.map((_, index) => ({ created, created_by: `layer ${index}` })),
    ...lies.configDocument,
  };
  return Buffer.from(JSON.stringify(document));
}

/** Platform as image-spec spells it. */
function platformJson(platform: Platform): Record<string, unknown> {
  const { os, architecture, variant, osVersion, osFeatures } = platform;
  return {
    architecture,
    os,
    ...(variant !== undefined && { variant }),
    ...(osVersion !== undefined && { "os.version": osVersion }),
    ...(osFeatures !== undefined && { "os.features": osFeatures }),
  };
}
