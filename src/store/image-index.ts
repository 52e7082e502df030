/**
 * index.json of the layout (OCI image-spec "Image Layout", "index.json"), made from the images in the database so that other
 * tools find them. An image gets up to two entries:
 *
 * - its full reference (`docker.io/library/debian:12`), with the descriptor as pulled, perhaps an index of which only some
 *   platforms are here: `skopeo copy oci:ROOT:docker.io/library/debian:12 ...`;
 * - its bare tag (`12`), with the manifest that was chosen for a platform: `skopeo inspect oci:ROOT:12`,
 *   `umoci unpack --image ROOT:12`. umoci calls an index ambiguous, so this entry never is one. Where images share a tag it
 *   is the one pulled last; the full reference always tells them apart.
 *
 * Entries that other tools made are kept, and their content counts as needed. Where one has the same ref.name as a bare tag,
 * theirs stands.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { isVarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { isDigest } from "../oci/digest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { parseJson, type JsonObject, type JsonValue } from "../oci/strict-json.ts";
import { replaceFile } from "./durable.ts";
import { tagOf, type ImageRecord } from "./image-record.ts";
import type { StoreLayout } from "./layout.ts";

const REF_NAME = "org.opencontainers.image.ref.name";
/** Where containerd's import takes an image's full name from. */
const CONTAINERD_NAME = "io.containerd.image.name";
/** Marks the entries that were made here, and may be made anew. */
const OURS = "dev.varve.image";
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

/** What a new layout starts with. */
export const EMPTY_INDEX: string = indexText([]);

/** Replaces index.json atomically. The caller holds the `index` lock. */
export async function writeImageIndex(
  layout: StoreLayout,
  images: readonly ImageRecord[],
  options: { readonly sync: boolean },
): Promise<void> {
  const names = new Set(images.map((image) => image.name));
  const foreign = foreignEntries(await readIndex(layout)).filter((entry) => !names.has(refName(entry) ?? ""));
  const taken = new Set(foreign.map(refName));
  const tags = [...newestByTag(images)].filter(([tag]) => !taken.has(tag));
  const text = indexText([
    ...images.map(({ name, descriptor }) => entry(descriptor, name, { [CONTAINERD_NAME]: name, [OURS]: name })),
    ...tags.map(([tag, { name, manifest }]) => entry(manifest, tag, { [OURS]: name })),
    ...foreign,
  ]);
  try {
    const temporary = temporaryIndex(layout);
    await replaceFile(layout.indexJson, temporary, text, { mode: 0o644, ...(options.sync && { syncIn: layout.root }) });
  } catch (error) {
    throw toVarveError(error, "writing index.json");
  }
}

/** The file that is about to take the place of index.json. */
export function temporaryIndex(layout: StoreLayout): string {
  return join(layout.root, ".index.json.new");
}

/** Descriptors that other tools put into index.json, and whether it could be read to find them. A missing file has none. */
export async function readForeign(
  layout: StoreLayout,
): Promise<{ readonly descriptors: readonly Descriptor[]; readonly readable: boolean }> {
  const index = await readIndex(layout);
  const descriptors = foreignEntries(index).flatMap(({ digest, mediaType, size }) =>
    isDigest(digest) && typeof mediaType === "string" && typeof size === "number" ? [{ digest, mediaType, size }] : [],
  );
  return { descriptors, readable: index !== "damaged" };
}

export interface OwnEntry {
  /** Its ref.name: the image's name, or its tag. */
  readonly ref: string;
  /** The image that it was made for. */
  readonly name: string;
  readonly value: JsonObject;
}

/** The entries of index.json that were made here; undefined when it is missing or cannot be read. */
export async function ownEntries(layout: StoreLayout): Promise<OwnEntry[] | undefined> {
  const index = await readIndex(layout);
  if (typeof index === "string") return undefined;
  return entriesOf(index).flatMap((value) => {
    const [ref, name] = [refName(value), annotation(value, OURS)];
    return ref === undefined || name === undefined ? [] : [{ ref, name, value }];
  });
}

/** All names that index.json has, whoever made them. */
export async function refNames(layout: StoreLayout): Promise<ReadonlySet<string | undefined>> {
  return new Set(entriesOf(await readIndex(layout)).map(refName));
}

function newestByTag(images: readonly ImageRecord[]): Map<string, ImageRecord> {
  const newest = new Map<string, ImageRecord>();
  for (const image of images) {
    const tag = tagOf(image.name);
    const other = tag === undefined ? undefined : newest.get(tag);
    if (tag !== undefined && (other === undefined || other.updatedAt <= image.updatedAt)) newest.set(tag, image);
  }
  return newest;
}

function foreignEntries(index: ImageIndex): JsonObject[] {
  return entriesOf(index).filter((entry) => annotation(entry, OURS) === undefined);
}

function entriesOf(index: ImageIndex): JsonObject[] {
  const entries = typeof index === "string" ? undefined : index["manifests"];
  return Array.isArray(entries) ? entries.filter(isObject) : [];
}

type ImageIndex = JsonObject | "missing" | "damaged";

/** A missing or broken file has no entries to keep; it is made anew from the database. */
async function readIndex(layout: StoreLayout): Promise<ImageIndex> {
  try {
    if ((await stat(layout.indexJson)).size > MAX_INDEX_BYTES) return "damaged";
    const value = parseJson(await readFile(layout.indexJson), "index.json");
    return isObject(value) ? value : "damaged";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "missing";
    if (isVarveError(error)) return "damaged";
    throw toVarveError(error, "reading index.json");
  }
}

function indexText(manifests: readonly unknown[]): string {
  return `${JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests }, undefined, 2)}\n`;
}

function entry(descriptor: Descriptor, name: string, marks: Record<string, string>): unknown {
  const { mediaType, digest, size, platform, artifactType } = descriptor;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(platform !== undefined && { platform: platformFields(platform) }),
    annotations: { [REF_NAME]: name, ...marks },
  };
}

function platformFields(platform: NonNullable<Descriptor["platform"]>): unknown {
  const { os, architecture, variant, osVersion, osFeatures } = platform;
  return { architecture, os, variant, "os.version": osVersion, "os.features": osFeatures };
}

function refName(entry: JsonObject): string | undefined {
  return annotation(entry, REF_NAME);
}

function annotation(entry: JsonObject, key: string): string | undefined {
  const { annotations } = entry;
  const value = annotations !== undefined && isObject(annotations) ? annotations[key] : undefined;
  return typeof value === "string" ? value : undefined;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
