/**
 * The index of all deltas of a repository (formats "tar-diff" §2): entries whose image is gone leave it, a new one comes first. Readers of the scheme
 * take the first that is for their image and may know nothing but tar-diff, so other formats follow those. Others may be writing the index at the
 * same time, so what is in it is taken over as it is.
 */
import { isVarveError, VarveError } from "../../../errors/varve-error.ts";
import { DELTA_INDEX_TAG, DELTA_TARGET, VARVE_DELTA_BASE, VARVE_DELTA_FORMAT } from "../../../oci/delta-names.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import { digestOf, isDigest, type Digest } from "../../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, type Document, type Index, type Manifest } from "../../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../../oci/media-types.ts";
import { withTag, type Reference } from "../../../oci/reference.ts";
import type { Caller } from "../../../registry/attempts.ts";
import type { RegistryClient } from "../../../registry/client.ts";
import type { BlobSink } from "../../../registry/upload/blob-sink.ts";
import { inParallel } from "../../in-parallel.ts";

/** Images of the index that are asked for at each change, the longest in it first. */
const MOST_ASKED = 32;
const ASKED_AT_ONCE = 4;

export interface NameOptions extends Caller {
  readonly registry: RegistryClient;
  readonly reference: Reference;
  /** Digest of the image's manifest. */
  readonly target: Digest;
}

/** @throws as `BlobSink.changeIndex` */
export async function nameInIndex(uploads: BlobSink, manifest: Manifest, options: NameOptions): Promise<void> {
  const { signal, onEvent, target } = options;
  const caller = { signal, onEvent };
  const { mediaType, digest, bytes, annotations = {} } = manifest;
  const entry: Entry = { mediaType, digest, size: bytes.length, annotations };
  const listed = await entriesThere(options);
  const targets = new Set(listed.map((other) => targetOf(other)).filter(isDigest));
  targets.delete(target);
  const goneTargets = await goneOf(uploads, [...targets].toReversed().slice(0, MOST_ASKED), caller);
  const change = {
    tag: DELTA_INDEX_TAG,
    what: `index of the deltas of ${options.reference.host}/${options.reference.name}`,
    isMade: (index: Index | undefined) => index?.manifests.some(({ digest }) => digest === entry.digest) ?? false,
    make: (index: Index | undefined, gone: ReadonlySet<string>) => withEntry(index, entry, { goneTargets, gone }),
  };
  await uploads.changeIndex(change, caller);
}

/** Nothing where the index cannot be read: who changes it says so. */
async function entriesThere({ registry, reference, signal, onEvent }: NameOptions): Promise<readonly Descriptor[]> {
  const { host, name } = reference;
  try {
    const index = await registry.fetchManifest(withTag({ host, name }, DELTA_INDEX_TAG), { signal, onEvent });
    return index.kind === "index" ? index.manifests : [];
  } catch (error) {
    if (isVarveError(error) && error.code !== "INTERRUPTED") return [];
    throw error;
  }
}

/** Manifests that the repository does not have. */
async function goneOf(uploads: BlobSink, manifests: readonly Digest[], caller: Caller): Promise<ReadonlySet<string>> {
  const gone = new Set<string>();
  await inParallel(manifests, ASKED_AT_ONCE, async (digest) => {
    if ((await uploads.resolve(digest, caller)) === undefined) gone.add(digest);
  });
  return gone;
}

/** What the repository does not have: images, and manifests of deltas. */
interface Gone {
  readonly goneTargets: ReadonlySet<string>;
  readonly gone: ReadonlySet<string>;
}

interface Entry {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What others wrote stays, also what is not known here, unless it has no use any more, or no room: then what is last goes. */
function withEntry(index: Index | undefined, entry: Entry, { goneTargets, gone }: Gone): Document {
  const mediaType = index?.mediaType ?? MEDIA_TYPES.ociIndex;
  const before = (
    index === undefined
      ? { schemaVersion: 2, mediaType, manifests: [] }
      : JSON.parse(Buffer.from(index.bytes).toString("utf8"))
  ) as { readonly manifests: readonly Partial<Entry>[] };
  const isGone = (other: Partial<Entry>): boolean =>
    goneTargets.has(targetOf(other) ?? "") || gone.has(other.digest ?? "");
  let kept = before.manifests.filter((other) => !isReplaced(other, entry) && !isGone(other));
  for (;;) {
    const bytes = Buffer.from(JSON.stringify({ ...before, manifests: withNew(kept, entry) }));
    if (bytes.length <= MAX_DOCUMENT_BYTES) return { bytes, digest: digestOf(bytes), mediaType };
    if (kept.length === 0) throw new VarveError("MANIFEST_TOO_LARGE", `an index of deltas has ${bytes.length} bytes`);
    kept = kept.slice(0, -Math.ceil(kept.length / 8));
  }
}

function withNew(others: readonly Partial<Entry>[], entry: Entry): readonly Partial<Entry>[] {
  const isOfTarget = (other: Partial<Entry>): boolean => targetOf(other) === targetOf(entry);
  const place = formatOf(entry) === "tar-diff" ? 0 : others.findLastIndex(isOfTarget) + 1;
  return others.toSpliced(place, 0, entry);
}

/** Deltas of the same two images, in the same format, that were made before. */
function isReplaced(other: Partial<Entry>, entry: Entry): boolean {
  const base = entry.annotations[VARVE_DELTA_BASE];
  const isSamePair = targetOf(other) === targetOf(entry) && other.annotations?.[VARVE_DELTA_BASE] === base;
  return base !== undefined && isSamePair && formatOf(other) === formatOf(entry);
}

function formatOf({ annotations }: Pick<Descriptor, "annotations">): string | undefined {
  return annotations?.[VARVE_DELTA_FORMAT];
}

function targetOf({ annotations }: Pick<Descriptor, "annotations">): string | undefined {
  return annotations?.[DELTA_TARGET];
}
