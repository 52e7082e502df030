/**
 * The use case "inspect a delta": what a delta image (formats "balena-delta" §2) or a list of deltas (formats "tar-diff" §2) is taken from, what it makes,
 * what each of its deltas copies, and whether that is here. The deltas are read, once.
 */
import { parseImageConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import type { TransferContext } from "../context.ts";
import { openDeltaRoots } from "../layer-tars/delta-roots.ts";
import { HeldLayerTars } from "../layer-tars/held-layer-tars.ts";
import { openManifest } from "../open-image.ts";
import { openSource } from "../open-place.ts";
import type { ImageSource } from "../transports/types.ts";
import { countDelta } from "./count-delta.ts";
import type { DeltaDetails, InspectDeltaOptions, InspectedLayer } from "./inspect-types.ts";
import { readTold, type ToldDelta, type ToldLayer } from "./told-delta.ts";
import type { LayerTars } from "./types.ts";

/**
 * @param name of the store, or with a transport
 * @throws VarveError `USAGE` for what is no delta; `DELTA_IMAGE_INVALID`, `DELTA_INVALID`; `IMAGE_NOT_FOUND`, `MANIFEST_UNKNOWN`, `REGISTRY_*` ...
 */
export async function inspectDelta(
  context: TransferContext,
  name: string,
  { platform, deltaRoots = [] }: InspectDeltaOptions = {},
): Promise<DeltaDetails> {
  const { store, signal } = context;
  await using source = await openSource(context, name);
  const { manifest } = await openManifest(source, name, platform);
  const told = await readTold(source, manifest, name, signal);
  await using tars = new HeldLayerTars({ store, signal, roots: await openDeltaRoots(deltaRoots, signal) });
  const base = told.base ?? (await diffIdsOf(tars, told.baseId));
  const layers: InspectedLayer[] = [];
  for (const layer of told.layers) layers.push(await inspectLayer(context, source, layer, base ?? [], tars));
  const made = layers.filter(({ how }) => how !== "common");
  const sum = (of: (layer: InspectedLayer) => number): number => made.reduce((total, layer) => total + of(layer), 0);
  return {
    name,
    kind: told.kind,
    digest: manifest.digest,
    base: { imageId: told.baseId, names: await namesOf(context, told.baseId, null), diffIds: base },
    target: {
      imageId: told.targetId,
      names: await namesOf(context, told.targetId, told.targetManifest),
      manifest: told.targetManifest,
    },
    isApplicable: (base !== null || told.kind === "list") && layers.every(({ isBaseHere }) => isBaseHere),
    layers,
    bytes: sum((layer) => layer.bytes ?? 0),
    deltaBytes: sum((layer) => layer.deltaBytes),
    deltaBlobBytes: sum((layer) => layer.deltaBlobBytes),
  };
}

async function inspectLayer(
  { store, signal }: TransferContext,
  source: ImageSource,
  { diffId, how, blob, from, size }: ToldLayer,
  base: readonly Digest[],
  tars: LayerTars,
): Promise<InspectedLayer> {
  const needed = how === "common" ? [diffId] : (from ?? base);
  const isHere = async (digest: Digest): Promise<boolean> => {
    const known = await store.layers.get(digest);
    return (await tars.has(digest)) || (known !== undefined && (await tars.has(known.diffId)));
  };
  let isBaseHere = how === "common" || needed.length > 0 || base.length > 0;
  for (const digest of needed) isBaseHere &&= await isHere(digest);
  const facts = { diffId, how, blob: blob.digest, from: how === "common" ? [] : needed, isBaseHere };
  if (how === "common") return { ...facts, bytes: size, ...NOTHING, deltaBlobBytes: 0 };
  const counts = await countDelta(how, source.blob(blob, signal), signal);
  const bytes = counts.copiedBytes + counts.addedBytes + counts.literalBytes;
  return { ...facts, bytes, ...counts, deltaBlobBytes: blob.size };
}

const NOTHING = { deltaBytes: 0, commands: 0, copiedBytes: 0, addedBytes: 0, literalBytes: 0 };

async function diffIdsOf(tars: LayerTars, baseId: ToldDelta["baseId"]): Promise<readonly Digest[] | null> {
  const bytes = baseId === null ? undefined : await tars.config(baseId);
  return bytes === undefined ? null : parseImageConfig(bytes).rootfs.diffIds;
}

async function namesOf(
  { store }: TransferContext,
  imageId: Digest | null,
  manifest: Digest | null,
): Promise<readonly string[]> {
  const images = await store.images.list();
  const same = images.filter((image) => {
    const isImage = imageId !== null && image.configDigest === imageId;
    return isImage || (manifest !== null && [image.manifest.digest, image.descriptor.digest].includes(manifest));
  });
  return same.map(({ name }) => name);
}
