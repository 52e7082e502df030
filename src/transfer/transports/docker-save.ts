/**
 * The `manifest.json` of `docker save` (moby image-spec v1.2 "Combined Image JSON + Filesystem Changeset Format"): for each
 * image the names of its config and layers in the archive, and its tags.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { Fields } from "../../oci/fields.ts";
import { formatReference, parseReference } from "../../oci/reference.ts";
import { parseJson } from "../../oci/strict-json.ts";
import type { ImageChoice } from "./layout-index.ts";

export interface SavedImage {
  /** Names of members, lowest layer first. */
  readonly config: string;
  readonly layers: readonly string[];
  /** Full references. */
  readonly tags: readonly string[];
}

/** @throws VarveError `ARCHIVE_INVALID` */
export function parseSavedImages(bytes: Uint8Array, where: string): SavedImage[] {
  const what = `manifest.json of ${where}`;
  const images = parseJson(bytes, what, { code: "ARCHIVE_INVALID" });
  return Fields.of({ images }, what, "ARCHIVE_INVALID")
    .objects("images")
    .map((fields) => ({
      config: fields.string("Config"),
      layers: fields.optionalStrings("Layers") ?? [],
      tags: (fields.optionalStrings("RepoTags") ?? []).flatMap(fullName),
    }));
}

export function formatSavedImages(images: readonly SavedImage[]): string {
  return JSON.stringify(images.map(({ config, layers, tags }) => ({ Config: config, RepoTags: tags, Layers: layers })));
}

/** `debian:12` → `docker.io/library/debian:12`; what is no name (`<none>:<none>`) is none. */
function fullName(tag: string): string[] {
  try {
    return [formatReference(parseReference(tag))];
  } catch {
    return [];
  }
}

/**
 * The image that was asked for, or the only one.
 *
 * @throws VarveError `MANIFEST_UNKNOWN`; `REFERENCE_INVALID` when there are several and none was chosen
 */
export function chooseSavedImage(
  images: readonly SavedImage[],
  { tag, position }: ImageChoice,
  where: string,
): SavedImage {
  if (tag === undefined && position === undefined && images.length > 1) {
    throw new VarveError("REFERENCE_INVALID", `${where} has ${images.length} images, and none was chosen`, {
      hint: `choose one of ${listed(images)}`,
    });
  }
  const found = tag === undefined ? images[position ?? 0] : images.find(({ tags }) => tags.includes(tag));
  if (found !== undefined) return found;
  const wanted = tag ?? (position === undefined ? "" : `@${position}`);
  throw new VarveError("MANIFEST_UNKNOWN", `${where} has no image ${wanted}`.trimEnd(), {
    hint: images.length === 0 ? "it is empty" : `it has ${listed(images)}`,
  });
}

const MAX_LISTED = 20;

function listed(images: readonly SavedImage[]): string {
  const names = images.flatMap(({ tags }, at) => (tags.length > 0 ? tags : [`@${at}`]));
  const more = names.length > MAX_LISTED ? `, and ${names.length - MAX_LISTED} more` : "";
  return (
    names
      .slice(0, MAX_LISTED)
      .map((name) => `:${name}`)
      .join(", ") + more
  );
}
