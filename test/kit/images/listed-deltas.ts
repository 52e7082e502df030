/** An image in a registry, lists of deltas of it as anybody may write them, and what a pull finds there. */
import { buildImage, type KitImage } from "./build-image.ts";
import { pushImage } from "./push-image.ts";
import { at, noise, opening } from "../http/test-client.ts";
import { startRegistry, type KitRegistry } from "../registry/registry.ts";
import type { RegistryQuirks } from "../registry/quirks.ts";
import { transferContext, type TestContext } from "../store/transfer-context.ts";
import {
  DELTA_CONFIG_MEDIA_TYPE,
  DELTA_FROM,
  DELTA_TARGET,
  DELTA_TO,
  TAR_DIFF_MEDIA_TYPE,
} from "../../../src/oci/delta-names.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { parseManifest } from "../../../src/oci/manifest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import { Tally } from "../../../src/transfer/tally.ts";
import { publishDeltas } from "../../../src/transfer/deltas/publish/publish.ts";
import type { PublishedDelta } from "../../../src/transfer/deltas/publish/types.ts";
import { DELTA_CONFIG } from "../../../src/transfer/deltas/publish/write-manifest.ts";
import type { LayerDelta, LayerTars } from "../../../src/transfer/deltas/types.ts";
import { RegistryDeltas } from "../../../src/transfer/deltas/discover/registry-deltas.ts";

export const image = await buildImage({
  layers: ["a", "b"].map((name) => [{ path: name, type: "file", content: Buffer.from(name) }] as const),
});
export const [lower, upper] = image.layers.map(({ diffId }) => diffId) as [Digest, Digest];
export const HELD = digestOf("a layer that is held");
export const HELD_TOO = digestOf("another one");
export const HELD_BLOB = digestOf("the blob of the first");

/** Of which only this is asked. */
function tars(...held: Digest[]): LayerTars {
  return { has: (diffId: Digest) => Promise.resolve(held.includes(diffId)) } as unknown as LayerTars;
}

export async function remember({ store }: TestContext, digest: Digest, diffId: Digest): Promise<void> {
  const facts = { mediaType: MEDIA_TYPES.ociLayerGzip, size: 1, uncompressedSize: 1, entries: 1 };
  await store.layers.put({ digest, diffId, ...facts, verifiedAt: new Date() });
}

/** A store that has had layers, and a registry with the image. */
export async function prepared(quirks: RegistryQuirks = {}) {
  const context = await transferContext();
  const registry = await startRegistry({ quirks });
  await pushImage(registry.host, "team/app", "v1", image);
  await remember(context, HELD_BLOB, HELD);
  return { context, registry };
}

export function someDelta(
  size: number,
  how: LayerDelta["how"],
  base: readonly Digest[],
  to: Digest = upper,
): PublishedDelta {
  const bytes = noise(size, `${how} ${base.join()} ${to}`);
  return { how, blob: { digest: digestOf(bytes), size }, base, to, size: 2048, open: opening(bytes) };
}

export async function publishFor(
  context: TestContext,
  { host }: KitRegistry,
  ...deltas: PublishedDelta[]
): Promise<void> {
  const base = [...new Set(deltas.flatMap((one) => one.base))];
  await publishDeltas(context, at(host), { target: image.descriptor, base, deltas });
}

export interface FindListedOptions {
  readonly held?: readonly Digest[];
  readonly tally?: Tally;
  readonly longestMs?: number;
  readonly of?: KitImage;
}

export async function findListed(
  context: TestContext,
  { host }: KitRegistry,
  { held = [HELD, HELD_TOO], tally = new Tally(), of = image, longestMs }: FindListedOptions = {},
): Promise<(readonly LayerDelta[])[]> {
  const reference = at(host);
  const manifest = parseManifest(of.bytes);
  if (manifest.kind !== "manifest") throw new Error("not a manifest");
  const config = { rootfs: { type: "layers", diffIds: of.layers.map(({ diffId }) => diffId) } } as const;
  const options = {
    image: { reference, manifest, config },
    tars: async () => tars(...held),
    tally,
    ...(longestMs !== undefined && { longestMs }),
  };
  await using deltas = new RegistryDeltas(context, options);
  const found: (readonly LayerDelta[])[] = [];
  for (const { descriptor, diffId } of of.layers) {
    found.push(await deltas.of({ reference, blob: descriptor, diffId }));
  }
  return found;
}

/** What other programs put, under any name. */
export async function putForeign(
  context: TestContext,
  { host }: KitRegistry,
  document: object,
  tag?: string,
): Promise<Digest> {
  const mediaType = "manifests" in document ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest;
  const manifest = parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document })));
  const sink = context.registry.uploads(at(host));
  await sink.putBlob(DELTA_CONFIG_BLOB, opening(DELTA_CONFIG));
  await sink.putManifest(manifest, tag);
  return manifest.digest;
}

export const DELTA_CONFIG_BLOB = {
  mediaType: DELTA_CONFIG_MEDIA_TYPE,
  digest: digestOf(DELTA_CONFIG),
  size: DELTA_CONFIG.length,
};

/** A delta manifest as other programs write it, which no registry checks the parts of here. */
export function foreignDelta(from: Digest, to: Digest, size: number) {
  const annotations = { [DELTA_FROM]: from, [DELTA_TO]: to };
  const layers = [{ mediaType: TAR_DIFF_MEDIA_TYPE, digest: digestOf(`${from} ${to}`), size, annotations }];
  return { config: DELTA_CONFIG_BLOB, layers, annotations: { [DELTA_TARGET]: image.digest } };
}
