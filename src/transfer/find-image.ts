/** Which image of the store a word on the command line means: a name, a digest, or the beginning of one. */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { digestHex, isDigest } from "../oci/digest.ts";
import { formatReference, parseReference, type Reference } from "../oci/reference.ts";
import type { ImageRecord } from "../store/images.ts";
import type { Store } from "../store/store.ts";

/** Shorter beginnings of a digest would too often be names. */
const SHORTEST_PREFIX = 6;

/**
 * Names win over digests. A digest may be the root's, the platform manifest's or the config's (the image ID), whole or by at
 * least six hex digits.
 *
 * @throws VarveError `IMAGE_NOT_FOUND`, `REFERENCE_INVALID`
 */
export async function findImage(store: Store, text: string): Promise<ImageRecord> {
  return (await findImages(store, text))[0];
}

/** All names that the word means: one, or those that share a digest. */
export async function findImages(store: Store, text: string): Promise<[ImageRecord, ...ImageRecord[]]> {
  const named = await byName(store, text);
  if (named !== undefined) return [named];
  const [first, ...rest] = await byDigest(store, text);
  if (first === undefined) throw new VarveError("IMAGE_NOT_FOUND", `the store has no image ${JSON.stringify(text)}`);
  return [first, ...rest];
}

async function byName(store: Store, text: string): Promise<ImageRecord | undefined> {
  try {
    const reference = parseReference(text);
    const exact = await store.images.get(formatReference(reference));
    if (exact !== undefined || reference.digest === undefined) return exact;
    // NAME@DIGEST also means what NAME:TAG was pulled as.
    const images = await store.images.list();
    return images.find((image) => isOf(image, reference) && hasDigest(image, (digest) => digest === reference.digest));
  } catch (error) {
    if (isVarveError(error, "REFERENCE_INVALID") && looksLikeDigest(text)) return undefined;
    throw error;
  }
}

function isOf(image: ImageRecord, { host, name }: Reference): boolean {
  const own = parseReference(image.name);
  return own.host === host && own.name === name;
}

async function byDigest(store: Store, text: string): Promise<ImageRecord[]> {
  if (!looksLikeDigest(text)) return [];
  const hex = text.slice(text.indexOf(":") + 1);
  const matches = (digest: string): boolean => (isDigest(text) ? digest === text : hexOf(digest).startsWith(hex));
  const found = (await store.images.list()).filter((image) => hasDigest(image, matches));
  const kinds = new Set(found.map(({ configDigest, manifest }) => configDigest ?? manifest.digest));
  if (kinds.size <= 1) return found;
  throw new VarveError("IMAGE_NOT_FOUND", `${JSON.stringify(text)} could be any of ${kinds.size} images`, {
    hint: "give more digits, or a name",
  });
}

function hasDigest(image: ImageRecord, matches: (digest: string) => boolean): boolean {
  const digests = [image.descriptor.digest, image.manifest.digest, image.configDigest];
  return digests.some((digest) => digest !== undefined && matches(digest));
}

function hexOf(digest: string): string {
  return isDigest(digest) ? digestHex(digest) : "";
}

function looksLikeDigest(text: string): boolean {
  return isDigest(text) || new RegExp(`^(sha256:|sha512:)?[0-9a-f]{${SHORTEST_PREFIX},128}$`).test(text);
}
