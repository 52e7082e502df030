/** Images as index.json has them: what is left of them when the database is lost, and what that file is held to when it is not. */
import { isVarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { Fields } from "../oci/fields.ts";
import { parseDescriptor } from "../oci/parse-descriptor.ts";
import { ownEntries, refNames } from "./image-index.ts";
import { tagOf, type ImageRecord } from "./image-record.ts";
import type { StoreLayout } from "./layout.ts";

export interface RecoveredImage {
  readonly name: string;
  readonly descriptor: Descriptor;
  /** Of the manifest that was chosen for a platform; undefined where another image has taken the tag that said so. */
  readonly manifest?: Descriptor;
}

/** The images that this program has put into index.json. */
export async function imagesInIndex(layout: StoreLayout): Promise<RecoveredImage[]> {
  const entries = ((await ownEntries(layout)) ?? []).flatMap(({ ref, name, value }) => {
    const descriptor = readDescriptor(value);
    return descriptor === undefined ? [] : [{ ref, name, descriptor }];
  });
  return entries.flatMap(({ ref, name, descriptor }) => {
    if (ref !== name) return [];
    const tagged = entries.find((entry) => entry.name === name && entry.ref !== name);
    return [{ name, descriptor, ...(tagged !== undefined && { manifest: tagged.descriptor }) }];
  });
}

/** What is wrong with index.json, in words; undefined when it says what the database says. */
export async function indexFault(layout: StoreLayout, images: readonly ImageRecord[]): Promise<string | undefined> {
  const entries = await ownEntries(layout);
  if (entries === undefined) return "index.json is missing or cannot be read";
  const byName = new Map(images.map((image) => [image.name, image]));
  for (const { ref, name, value } of entries) {
    const image = byName.get(name);
    const meant = ref === name ? image?.descriptor : tagOf(name) === ref ? image?.manifest : undefined;
    const { digest, size } = readDescriptor(value) ?? {};
    if (meant === undefined) return `index.json names ${name}, which is no image of the store`;
    if (meant.digest !== digest || meant.size !== size) return `index.json has another ${ref} than the store`;
  }
  const refs = await refNames(layout);
  const absent = images.flatMap(({ name }) => [name, tagOf(name) ?? name]).find((ref) => !refs.has(ref));
  return absent === undefined ? undefined : `index.json lacks ${absent}`;
}

function readDescriptor(value: object): Descriptor | undefined {
  try {
    const { mediaType, digest, size, platform, artifactType } = parseDescriptor(
      Fields.of(value as Parameters<typeof Fields.of>[0], "index.json", "MANIFEST_INVALID"),
    );
    return {
      mediaType,
      digest,
      size,
      ...(platform !== undefined && { platform }),
      ...(artifactType !== undefined && { artifactType }),
    };
  } catch (error) {
    if (isVarveError(error)) return undefined;
    throw error;
  }
}
