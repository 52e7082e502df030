/** The store's images, as people and scripts ask about them: list, inspect, tag, remove, disk use. */
import type { DiskImage } from "../codec/tart/disk-image.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { isLayerType } from "../oci/media-types.ts";
import { formatPlatform, type Platform } from "../oci/platform.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { ImageRecord } from "../store/images.ts";
import { reachable } from "../store/unreferenced.ts";
import type { TransferContext } from "./context.ts";
import { isIndexList, orphanedLists } from "./disks/index/index-lists.ts";
import type { DiskSummary } from "./disks/disk-summary.ts";
import type { MachineFacts } from "./disks/machine-facts.ts";
import { findImage, findImages } from "./find-image.ts";
import { openManifest, readConfigBytes, readImageConfig } from "./open-image.ts";
import { openSource } from "./open-place.ts";
import { platformOf } from "./resolve-image.ts";
import { StoreSource } from "./transports/store.ts";
import type { ImageSource } from "./transports/types.ts";
import { sweepUnpacked } from "./unpacked.ts";

export interface ImageRow {
  /** Canonical, with tag or digest. */
  readonly name: string;
  readonly tag: string | null;
  /** Of the root. */
  readonly digest: Digest;
  readonly imageId: Digest | null;
  readonly platform: string | null;
  /** Bytes of config and layers, as stored. Layers shared with other images count in full. */
  readonly size: number;
  readonly layers: number;
  /** When the image was built, by its config. */
  readonly createdAt: string | null;
  readonly pulledAt: string;
}

export async function listImages(context: TransferContext): Promise<ImageRow[]> {
  const rows: ImageRow[] = [];
  for (const record of await context.store.images.list()) {
    if (!(await isIndexList(context.store, record))) rows.push(await imageRow(context, record));
  }
  return rows;
}

async function imageRow({ store, signal }: TransferContext, record: ImageRecord): Promise<ImageRow> {
  const source = new StoreSource(store, record);
  const base = {
    name: record.name,
    tag: parseReference(record.name, { defaultTag: false }).tag ?? null,
    digest: record.descriptor.digest,
    imageId: record.configDigest ?? null,
    pulledAt: record.updatedAt.toISOString(),
  };
  const listed = record.manifest.platform;
  try {
    const { manifest } = await openManifest(source, record.name, undefined);
    const config = await readImageConfig(source, manifest, record.name, signal).catch(() => undefined);
    const machine = await machineOf(source, manifest, signal).catch(() => undefined);
    const platform = listed ?? platformOf(config) ?? machine?.platform;
    const parts = distinct([manifest.config, ...manifest.layers]);
    return {
      ...base,
      imageId: manifest.config.digest,
      platform: formatted(platform),
      size: parts.reduce((sum, { size }) => sum + size, 0),
      layers: manifest.layers.length,
      createdAt: config?.created ?? machine?.image.uploadTime ?? null,
    };
  } catch {
    // A damaged document must not hide the other images; inspect says what is wrong with this one.
    return { ...base, platform: formatted(listed), size: 0, layers: 0, createdAt: null };
  }
}

interface Machine {
  readonly image: DiskImage;
  readonly facts: MachineFacts;
  readonly platform: Platform | undefined;
}

/** Undefined of all but virtual machines, which cost nobody else anything. */
async function machineOf(source: ImageSource, manifest: Manifest, signal: AbortSignal): Promise<Machine | undefined> {
  if (manifest.layers.every(({ mediaType }) => isLayerType(mediaType))) return undefined;
  const { readDiskImage } = await import("../codec/tart/read-disk-image.ts");
  const image = readDiskImage(manifest);
  if (image === undefined) return undefined;
  const { imageFacts, platformOfMachine } = await import("./disks/machine-facts.ts");
  const facts = await imageFacts(source, image, signal);
  return { image, facts, platform: platformOfMachine(facts) };
}

function formatted(platform: Platform | undefined): string | null {
  return platform === undefined ? null : formatPlatform(platform);
}

function distinct(descriptors: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}

export interface InspectOptions {
  /** Default: the one that was pulled, else this machine's. */
  readonly platform?: Platform;
}

/** What a virtual machine's configuration says, and what its manifest says of its disks. */
export interface MachineDetails extends MachineFacts {
  readonly format: DiskImage["format"];
  readonly stacked: boolean;
  readonly disks: readonly DiskSummary[];
}

/** What `inspect` prints: plain fields, from the documents. */
export interface ImageDetails {
  /** Of an image of the store in full; else as it was given. */
  readonly name: string;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly manifestDigest: Digest;
  readonly imageId: Digest;
  readonly platform: string | null;
  readonly created: string | null;
  readonly author: string | null;
  readonly size: number;
  readonly layers: readonly {
    readonly digest: Digest;
    readonly diffId: Digest | null;
    readonly mediaType: string;
    readonly size: number;
  }[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Of a virtual machine. */
  readonly machine?: MachineDetails;
  /** Other platforms of the index that was pulled; they need not be in the store. */
  readonly platforms: readonly string[];
}

/** Of an image in the store, a layout, an archive, or with `docker://` a registry. */
export async function inspectImage(
  context: TransferContext,
  image: string,
  options: InspectOptions = {},
): Promise<ImageDetails> {
  await using source = await openSource(context, image);
  const { root, manifest } = await openManifest(source, image, options.platform);
  const config = await readImageConfig(source, manifest, image, context.signal).catch((error: unknown) => {
    if (error instanceof VarveError && error.code === "MEDIA_TYPE_UNSUPPORTED") return undefined;
    throw error;
  });
  const machine = await machineOf(source, manifest, context.signal);
  const platforms =
    root.kind === "index" ? root.manifests.flatMap(({ platform }) => (platform ? [formatPlatform(platform)] : [])) : [];
  return {
    name: source instanceof StoreSource ? source.name : image,
    digest: root.digest,
    mediaType: root.mediaType,
    manifestDigest: manifest.digest,
    imageId: manifest.config.digest,
    platform: formatted(platformOf(config) ?? machine?.platform),
    created: config?.created ?? machine?.image.uploadTime ?? null,
    author: config?.author ?? null,
    size: [manifest.config, ...manifest.layers].reduce((sum, { size }) => sum + size, 0),
    layers: manifest.layers.map(({ digest, mediaType, size }, index) => ({
      digest,
      diffId: config?.rootfs.diffIds[index] ?? null,
      mediaType,
      size,
    })),
    config: { ...config?.config },
    annotations: manifest.annotations ?? {},
    ...(machine !== undefined && { machine: await machineDetails(machine, context.signal) }),
    platforms,
  };
}

async function machineDetails({ image, facts }: Machine, signal: AbortSignal): Promise<MachineDetails> {
  const { summarize } = await import("./disks/disk-summary.ts");
  const disks: DiskSummary[] = [];
  for (const disk of image.disks) disks.push(await summarize(disk, { signal }));
  return { format: image.format, ...facts, stacked: image.stacked, disks };
}

/** The exact bytes of a document: of the root as it was pushed, of a platform's manifest, or of a config. */
export async function rawDocument(
  context: TransferContext,
  image: string,
  which: "manifest" | "config",
  { platform }: InspectOptions = {},
): Promise<Uint8Array> {
  await using source = await openSource(context, image);
  if (which === "manifest" && platform === undefined) return (await source.root()).bytes;
  const { manifest } = await openManifest(source, image, platform);
  return which === "manifest" ? manifest.bytes : readConfigBytes(source, manifest, context.signal);
}

/** Gives an image one more name. The old name stays; what the new one stood for before loses it. */
export async function tagImage({ store }: TransferContext, image: string, name: string): Promise<ImageRecord> {
  const reference = parseReference(name);
  if (reference.digest !== undefined) {
    throw new VarveError("REFERENCE_INVALID", `a digest is no name to give: ${name}`, { hint: "give NAME:TAG" });
  }
  const found = await findImage(store, image);
  return store.images.alias(found.name, formatReference(reference));
}

export interface RemoveResult {
  readonly untagged: readonly string[];
  /** Blobs. */
  readonly deleted: readonly Digest[];
  /** Disks of machines, by their keys. */
  readonly disks: readonly Digest[];
  /** Committed snapshots of layers that went with them. */
  readonly snapshots: number;
  /** In all, what was unpacked included. */
  readonly freedBytes: number;
}

/**
 * Takes names out of the store, and what no other image needs. A digest takes out all names of its image. Nothing is removed
 * when one of the names is unknown.
 */
export async function removeImages(context: TransferContext, images: readonly string[]): Promise<RemoveResult> {
  const { store } = context;
  const records = new Map<string, ImageRecord>();
  for (const image of images) for (const record of await findImages(store, image)) records.set(record.name, record);
  const lists = await orphanedLists(store, new Set(records.keys()));
  const roots = [...records.values(), ...lists].flatMap(({ descriptor, manifest }) => [descriptor, manifest]);
  const candidates = await reachable(store.content, roots);
  await store.images.delete(...records.keys(), ...lists.map(({ name }) => name));
  await store.leases.finish(...records.keys());
  const { deleted, disks, freedBytes } = await store.removeUnreferenced(candidates.keys());
  const { snapshots, layers, folders } = await sweepUnpacked(context);
  return {
    untagged: [...records.keys()],
    deleted,
    disks,
    snapshots: snapshots.count,
    freedBytes: freedBytes + snapshots.bytes + layers.bytes + folders.bytes,
  };
}
