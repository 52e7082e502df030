/**
 * Names in the store that list nothing but chunk indexes (publish.ts) or deltas (deltas/publish/keep.ts). Nobody gave them, so they are not among the
 * images, and go with the last name of the image that these refer to.
 */
import { DISK_INDEX_TYPE } from "../../../codec/disk-index/index-manifest.ts";
import { DELTA_CONFIG_MEDIA_TYPE } from "../../../oci/delta-names.ts";
import { parseDigest, type Digest } from "../../../oci/digest.ts";
import { parseReference } from "../../../oci/reference.ts";
import type { ImageRecord } from "../../../store/images.ts";
import type { Store } from "../../../store/store.ts";
import { listedReferrers } from "../../transports/store-referrers.ts";

const OWN_TYPES: ReadonlySet<string | undefined> = new Set([DISK_INDEX_TYPE, DELTA_CONFIG_MEDIA_TYPE]);

/** Whether a name of the store lists chunk indexes or deltas, and nothing else. */
export async function isIndexList(store: Store, record: ImageRecord): Promise<boolean> {
  const subject = subjectOf(record.name);
  if (subject === undefined) return false;
  const listed = await listedReferrers(store, record.name, subject).catch(() => []);
  return listed.length > 0 && listed.every(({ artifactType }) => OWN_TYPES.has(artifactType));
}

/** The lists of chunk indexes and deltas of images that no name stands for, when the names in `gone` are gone. Default: as it is now. */
export async function orphanedLists(store: Store, gone: ReadonlySet<string> = new Set()): Promise<ImageRecord[]> {
  const found: { readonly subject: Digest; readonly record: ImageRecord }[] = [];
  const before = await imagesLeft(store, gone);
  const images = new Set(before.flatMap(digestsOf));
  for (const record of before) {
    const subject = subjectOf(record.name);
    if (subject === undefined || images.has(subject) || !(await isIndexList(store, record))) continue;
    // Whoever is at work on the image has listed its index before he names it.
    if (!(await store.leases.isLeased(subject))) found.push({ subject, record });
  }
  if (found.length === 0) return [];
  // Whoever let go of his lease meanwhile has named the image.
  const after = new Set((await imagesLeft(store, gone)).flatMap(digestsOf));
  return found.filter(({ subject }) => !after.has(subject)).map(({ record }) => record);
}

async function imagesLeft(store: Store, gone: ReadonlySet<string>): Promise<ImageRecord[]> {
  return (await store.images.list()).filter(({ name }) => !gone.has(name));
}

function digestsOf({ descriptor, manifest }: ImageRecord): Digest[] {
  return [descriptor.digest, manifest.digest];
}

/** As `fallbackTag` has it. */
const LIST_TAG = /^sha256-([0-9a-f]{64})$/;

function subjectOf(name: string): Digest | undefined {
  const hex = LIST_TAG.exec(parseReference(name, { defaultTag: false }).tag ?? "")?.[1];
  return hex === undefined ? undefined : parseDigest(`sha256:${hex}`);
}
