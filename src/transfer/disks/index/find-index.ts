/** Finds the chunk index of an image among what refers to it in its registry. That there is none is no news: only varve makes them. */
import { DISK_INDEX_TYPE, readIndexManifest } from "../../../codec/disk-index/index-manifest.ts";
import { toVarveError } from "../../../errors/from-system.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { Reference } from "../../../oci/reference.ts";
import type { TransferContext } from "../../context.ts";
import type { Tally } from "../../tally.ts";

/** Of several that refer to one image, so many are looked at. */
const MOST_TRIED = 3;
/** What the whole image may wait for, it need not wait for this: a registry that has trouble with lists may be fine otherwise. */
const LONGEST_MS = 30_000;

export interface IndexedImage {
  readonly reference: Reference;
  /** Of the image's manifest. */
  readonly digest: Digest;
}

/**
 * The indexes' blobs by the digests of the chunks' blobs; undefined when there is none, or none that can be used.
 * @param onFallback told why one that there is cannot be used, or why nobody knows whether there is one
 * @throws the signal's reason
 */
export async function findIndex(
  { registry, onProgress, signal }: TransferContext,
  { reference, digest }: IndexedImage,
  tally: Tally,
  onFallback: (reason: string) => void,
): Promise<ReadonlyMap<Digest, Descriptor> | undefined> {
  const hurried = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]);
  const caller = { signal: hurried, onEvent: tally.telling(onProgress) };
  let problem: string | undefined;
  try {
    const listed = await registry.referrers(reference, digest, { ...caller, artifactType: DISK_INDEX_TYPE });
    for (const descriptor of listed.slice(0, MOST_TRIED)) {
      try {
        const document = await registry.fetchManifest(reference, { ...caller, digest: descriptor.digest });
        if (document.kind === "manifest") return readIndexManifest(document, digest);
      } catch (error) {
        signal.throwIfAborted();
        problem = messageOf(error);
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    problem = messageOf(error);
  }
  if (problem !== undefined) onFallback(problem);
  return undefined;
}

export function messageOf(thrown: unknown): string {
  const { code, message } = toVarveError(thrown, "reading the index of an image's chunks");
  return `${code}: ${message}`;
}
