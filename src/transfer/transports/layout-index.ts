/**
 * The `index.json` of an image layout, OCI image-spec "image-layout.md": which images are in it and under which names. It is
 * edited as JSON, so that what other tools keep in it stays.
 */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { Fields } from "../../oci/fields.ts";
import { isIndexType, isManifestType } from "../../oci/media-types.ts";
import type { Document } from "../../oci/manifest.ts";
import { parseDescriptor } from "../../oci/parse-descriptor.ts";
import { parseJson, type JsonObject, type JsonValue } from "../../oci/strict-json.ts";

export const REF_NAME = "org.opencontainers.image.ref.name";
export const OCI_LAYOUT = `{"imageLayoutVersion": "1.0.0"}`;
/** Room for tens of thousands of images. */
export const MAX_INDEX_BYTES = 16 * 1024 * 1024;

/** Which image of a layout: the one of that name, or at that place, or the only one. */
export interface ImageChoice {
  readonly tag?: string;
  readonly position?: number;
}

/** @throws VarveError `ARCHIVE_INVALID` unless it is a layout of version 1 */
export function checkLayoutVersion(bytes: Uint8Array, where: string): void {
  const what = `oci-layout of ${where}`;
  const fields = Fields.of(parseJson(bytes, what, { code: "ARCHIVE_INVALID" }), what, "ARCHIVE_INVALID");
  const version = fields.string("imageLayoutVersion");
  if (!version.startsWith("1."))
    fields.refuse("imageLayoutVersion", `is ${JSON.stringify(version.slice(0, 80))}, not 1.0.0`);
}

/**
 * The descriptor of one image.
 *
 * @throws VarveError `ARCHIVE_INVALID`; `MANIFEST_UNKNOWN` when there is none of that name; `REFERENCE_INVALID` when several are
 * there and none was chosen
 */
export function chooseImage(indexBytes: Uint8Array, choice: ImageChoice, where: string): Descriptor {
  const what = `index.json of ${where}`;
  const fields = Fields.of(parseJson(indexBytes, what, { code: "ARCHIVE_INVALID" }), what, "ARCHIVE_INVALID");
  const entries = fields.objects("manifests");
  const chosen = choose(entries, choice, where);
  const descriptor = parseDescriptor(chosen);
  if (isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType)) return descriptor;
  throw new VarveError("MANIFEST_UNSUPPORTED", `${where} has ${JSON.stringify(descriptor.mediaType)} as an image`);
}

/** Everything that the index names; what is no descriptor is left out. */
export function listEntries(indexBytes: Uint8Array, where: string): Descriptor[] {
  const what = `index.json of ${where}`;
  const fields = Fields.of(parseJson(indexBytes, what, { code: "ARCHIVE_INVALID" }), what, "ARCHIVE_INVALID");
  return fields.objects("manifests").flatMap((entry) => {
    try {
      return [parseDescriptor(entry)];
    } catch (error) {
      if (isVarveError(error)) return [];
      throw error;
    }
  });
}

function choose(entries: readonly Fields[], { tag, position }: ImageChoice, where: string): Fields {
  if (tag === undefined && position === undefined && entries.length > 1) {
    // What only refers to an image does not make it ambiguous which one is meant.
    const [only, ...others] = entries.filter((entry) => entry.optionalString("artifactType") === undefined);
    if (only !== undefined && others.length === 0) return only;
    throw new VarveError("REFERENCE_INVALID", `${where} has ${entries.length} images, and none was chosen`, {
      hint: `choose one of ${listed(entries)}`,
    });
  }
  const found = tag === undefined ? entries[position ?? 0] : entries.find((entry) => nameOf(entry) === tag);
  if (found !== undefined) return found;
  const wanted = tag === undefined ? "" : ` ${JSON.stringify(tag.slice(0, 160))}`;
  throw new VarveError(
    "MANIFEST_UNKNOWN",
    `${where} has no image${wanted}${position === undefined ? "" : ` at ${position}`}`,
    {
      hint: entries.length === 0 ? "it is empty" : `it has ${listed(entries)}`,
    },
  );
}

function nameOf(entry: Fields): string | undefined {
  const annotations = entry.raw("annotations");
  if (typeof annotations !== "object" || annotations === null || Array.isArray(annotations)) return undefined;
  const name = Object.hasOwn(annotations, REF_NAME) ? annotations[REF_NAME] : undefined;
  return typeof name === "string" && name !== "" ? name : undefined;
}

const MAX_LISTED = 20;

function listed(entries: readonly Fields[]): string {
  const names = entries
    .slice(0, MAX_LISTED)
    .map((entry, at) => `:${JSON.stringify(nameOf(entry) ?? `@${at}`).slice(1, -1)}`);
  return names.join(", ") + (entries.length > MAX_LISTED ? `, and ${entries.length - MAX_LISTED} more` : "");
}

/** What a new layout begins with. */
export function emptyIndex(): JsonObject {
  return { schemaVersion: 2, manifests: [] };
}

/** @throws VarveError `ARCHIVE_INVALID` */
export function parseEditableIndex(bytes: Uint8Array, where: string): JsonObject {
  const what = `index.json of ${where}`;
  const index = parseJson(bytes, what, { code: "ARCHIVE_INVALID" });
  Fields.of(index, what, "ARCHIVE_INVALID").objects("manifests");
  return index as JsonObject;
}

/**
 * Adds an image, as skopeo does: another image of that name stays, but without the name; the same image without a name becomes
 * this one.
 *
 * @param artifactType of what is here because it refers to another image; readers tell by it which entry is none
 */
export function addImage(index: JsonObject, document: Document, name: string | undefined, artifactType?: string): void {
  const entries = index["manifests"] as JsonObject[];
  if (name === undefined && entries.some((entry) => entry["digest"] === document.digest)) return;
  if (name !== undefined) for (const entry of entries) if (refName(entry) === name) dropName(entry);
  const unnamed = entries.findIndex((entry) => entry["digest"] === document.digest && refName(entry) === undefined);
  const known = entries[unnamed] ?? {};
  const entry: JsonObject = {
    ...known,
    mediaType: document.mediaType,
    digest: document.digest,
    size: document.bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(name !== undefined && { annotations: { ...annotationsOf(known), [REF_NAME]: name } }),
  };
  if (unnamed < 0) entries.push(entry);
  else entries[unnamed] = entry;
}

function annotationsOf(entry: JsonObject): JsonObject | undefined {
  const annotations: JsonValue | undefined = entry["annotations"];
  return typeof annotations === "object" && annotations !== null && !Array.isArray(annotations)
    ? annotations
    : undefined;
}

function refName(entry: JsonObject): JsonValue | undefined {
  return annotationsOf(entry)?.[REF_NAME];
}

function dropName(entry: JsonObject): void {
  const annotations = annotationsOf(entry);
  if (annotations === undefined) return;
  delete annotations[REF_NAME];
  if (Object.keys(annotations).length === 0) delete entry["annotations"];
}
