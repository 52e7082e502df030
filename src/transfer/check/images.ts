/**
 * Checks that images are whole: documents that parse and agree, every part there with the size that its descriptor says, layers that
 * unpack to their DiffIDs. When mending, what is broken is fetched from the registry that the image's name says, and nothing else.
 */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { wholeFile } from "../../layer/whole-file.ts";
import { checkLayers, parseImageConfig, type ImageConfig } from "../../oci/config.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestAlgorithm, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import { isConfigType, isLayerType, isManifestType, isIndexType } from "../../oci/media-types.ts";
import type { ImageRecord } from "../../store/images.ts";
import { isIndexList } from "../disks/index/index-lists.ts";
import { inParallel } from "../in-parallel.ts";
import { MAX_INDEX_DEPTH } from "../pick-platform.ts";
import { DRIVER_NAMES } from "../snapshotter.ts";
import type { Check, ImageLayer as Layer } from "./check.ts";
import { checkPart, stateOf } from "./parts.ts";

export async function checkImages(check: Check, images: readonly ImageRecord[]): Promise<void> {
  const layers = new Map<string, Layer>();
  for (const image of images) {
    check.context.signal.throwIfAborted();
    // Lists of chunk indexes are no images to those who count theirs.
    if (!(await isIndexList(check.store, image))) check.counts.images++;
    for (const layer of await checkImage(check, image)) layers.set(`${layer.blob.digest} ${layer.diffId}`, layer);
  }
  await inParallel([...layers.values()], check.concurrency, (layer) => checkLayer(check, layer));
  if (check.disks.size > 0) await (await import("./disks.ts")).checkDisks(check);
}

async function checkImage(check: Check, { name, descriptor, manifest }: ImageRecord): Promise<Layer[]> {
  const layers = await checkDocument(check, name, manifest, 1);
  // The index that it was chosen from must be there; its other platforms need not.
  if (descriptor.digest !== manifest.digest) await readDocument(check, name, descriptor);
  return layers;
}

/** @returns the layers below that are whole */
async function checkDocument(check: Check, image: string, descriptor: Descriptor, depth: number): Promise<Layer[]> {
  const document = await readDocument(check, image, descriptor);
  if (document === undefined) return [];
  if (document.kind === "manifest") return checkManifest(check, image, document);
  // Copied as a whole: each platform that is here must be whole, and one must be here.
  const layers: Layer[] = [];
  let here = 0;
  for (const child of document.manifests) {
    if (!isManifestType(child.mediaType) && !isIndexType(child.mediaType)) continue;
    if ((await stateOf(check, child.digest)) === "missing") continue;
    here++;
    if (depth < MAX_INDEX_DEPTH) layers.push(...(await checkDocument(check, image, child, depth + 1)));
  }
  if (here === 0) {
    check.findings.add("blob-missing", `${image}: no manifest of its index is in the store`, {
      digest: descriptor.digest,
      image,
    });
  }
  return layers;
}

async function checkManifest(check: Check, image: string, manifest: Manifest): Promise<Layer[]> {
  const { config, layers } = manifest;
  if (!(await checkPart(check, image, { kind: "config", descriptor: config }))) return [];
  if (!layers.every(({ mediaType }) => isLayerType(mediaType))) {
    const { checkMachine } = await import("./machines.ts");
    if (await checkMachine(check, image, manifest)) return [];
  }
  const parsed = await readConfig(check, image, manifest);
  const whole: Layer[] = [];
  for (const [index, blob] of layers.entries()) {
    const diffId = parsed?.rootfs.diffIds[index];
    if (diffId !== undefined) check.layers.set(diffId, { image, blob, diffId });
    if (diffId !== undefined && (await isGivenUp(check, blob.digest, diffId))) continue;
    const there = await checkPart(check, image, { kind: "layer", descriptor: blob, diffId });
    if (there && diffId !== undefined && isLayerType(blob.mediaType)) whole.push({ image, blob, diffId });
  }
  return whole;
}

async function readDocument(
  check: Check,
  image: string,
  descriptor: Descriptor,
): Promise<Manifest | Index | undefined> {
  if (!(await checkPart(check, image, { kind: "document", descriptor }))) return undefined;
  const { digest, mediaType } = descriptor;
  return parsed(check, image, digest, async () => {
    const bytes = await check.store.content.readBytes(digest, MAX_DOCUMENT_BYTES);
    return parseManifest(bytes, { contentType: mediaType, expected: { digest } });
  });
}

async function readConfig(check: Check, image: string, manifest: Manifest): Promise<ImageConfig | undefined> {
  const { config } = manifest;
  if (!isConfigType(config.mediaType)) return undefined;
  return parsed(check, image, config.digest, async () => {
    const bytes = await check.store.content.readBytes(config.digest, MAX_DOCUMENT_BYTES);
    const read = parseImageConfig(bytes, { expected: config });
    checkLayers(manifest, read);
    return read;
  });
}

/** A document whose bytes are right and that is none all the same cannot be mended: it is what the image's maker pushed. */
async function parsed<T>(check: Check, image: string, digest: Digest, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isVarveError(error)) throw error;
    check.findings.add("document-invalid", `${image}: ${error.message}`, { digest, image });
    check.findings.failedDigest(digest, "the image is broken");
    return undefined;
  }
}

/** Whether a layer's blob is not to be here, because the layer is held unpacked. */
async function isGivenUp({ store }: Check, digest: Digest, diffId: Digest): Promise<boolean> {
  const known = await store.layers.get(digest);
  if (known?.discardedAt === undefined || known.diffId !== diffId) return false;
  if ((await store.content.stat(digest).catch(() => undefined)) !== undefined) return false;
  for (const driver of DRIVER_NAMES) if ((await store.snapshots.findByDiffId(driver, diffId)).length > 0) return true;
  return false;
}

/** Unpacks a layer to nowhere and holds it to its DiffID, and what is recorded of it to both. */
async function checkLayer(check: Check, { image, blob, diffId }: Layer): Promise<void> {
  const { context, store, findings, repair, counts } = check;
  const { digest, mediaType, size } = blob;
  const file = wholeFile({ path: store.content.pathOf(digest), size });
  try {
    const found = await context.threads.check(file, { algorithm: digestAlgorithm(diffId), signal: context.signal });
    counts.layers++;
    if (found.diffId !== diffId) {
      throw new VarveError("DIFFID_MISMATCH", `layer ${digest} unpacks to ${found.diffId}, the config says ${diffId}`);
    }
    const record = await store.layers.get(digest);
    const right =
      record?.diffId === diffId && record.uncompressedSize === found.size && record.entries === found.entries;
    if (record === undefined || right) return;
    const key = findings.add("layer-record", `what is recorded of layer ${digest} is not so`, { digest, image });
    if (!repair) return;
    const { size: uncompressedSize, entries } = found;
    await store.layers.put({ digest, diffId, mediaType, size, uncompressedSize, entries, verifiedAt: new Date() });
    findings.repaired(key);
  } catch (error) {
    if (!isVarveError(error) || !VERDICTS.has(error.code)) throw error;
    // The blob is its digest's, so fetching it again would bring the same.
    const key = findings.add("diffid-mismatch", `${image}: ${error.message}`, { digest, image });
    findings.failed(key, "the image is broken");
  }
}

const VERDICTS: ReadonlySet<string> = new Set([
  "DIFFID_MISMATCH",
  "COMPRESSION_INVALID",
  "LAYER_INVALID",
  "LAYER_LIMIT",
]);
