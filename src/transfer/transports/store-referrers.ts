/**
 * What refers to an image in a store: listed by an index under another name of the same repository, `NAME:sha256-<hex of the subject>`, as
 * registries without the referrers API have it (distribution-spec "Referrers Tag Schema"). So it stays as long as that name does.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { formatReference, parseReference, withTag } from "../../oci/reference.ts";
import { referrerEntry } from "../../oci/referrer-entry.ts";
import { fallbackTag } from "../../registry/referrers.ts";
import type { Lease } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";

/** @param name of an image in the repository */
export async function listedReferrers(store: Store, name: string, subject: Digest): Promise<readonly Descriptor[]> {
  const list = await store.images.get(listName(name, subject));
  if (list === undefined) return [];
  const { digest, mediaType } = list.descriptor;
  const bytes = await store.content.readBytes(digest, MAX_DOCUMENT_BYTES);
  const index = parseManifest(bytes, { contentType: mediaType, expected: { digest } });
  return index.kind === "index" ? index.manifests : [];
}

/** Adds to the lists of their subjects; the documents are in the store already. */
export async function listReferrers(
  store: Store,
  name: string,
  referrers: readonly (Manifest | Index)[],
  lease: Pick<Lease, "add">,
  signal: AbortSignal,
): Promise<void> {
  const subjects = new Set(referrers.flatMap(({ subject }) => (subject === undefined ? [] : [subject.digest])));
  for (const subject of subjects) {
    // Two who add to one list at once would each write it without what the other has added.
    const lock = await store.locks.digest(subject, { signal });
    try {
      await addToList(store, name, subject, referrers, lease);
    } finally {
      lock.unlock({ remove: true });
    }
  }
}

async function addToList(
  store: Store,
  name: string,
  subject: Digest,
  referrers: readonly (Manifest | Index)[],
  lease: Pick<Lease, "add">,
): Promise<void> {
  const known = await listedReferrers(store, name, subject);
  const added = referrers.filter((document) => document.subject?.digest === subject).map(referrerEntry);
  const missing = added.filter(({ digest }) => !known.some((descriptor) => descriptor.digest === digest));
  if (missing.length === 0) return;
  const mediaType = MEDIA_TYPES.ociIndex;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [...known, ...missing] }));
  const digest = digestOf(bytes);
  await lease.add(digest);
  await store.content.writeBytes(digest, bytes);
  await store.images.put({ name: listName(name, subject), descriptor: { mediaType, digest, size: bytes.length } });
}

function listName(name: string, subject: Digest): string {
  return formatReference(withTag(parseReference(name), fallbackTag(subject)));
}
