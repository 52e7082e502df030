/** Where a new delta goes: into the store under a name, into a registry, or both. What could not be put whole leaves nothing in the store. */
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestHex, digestOf, type Digest } from "../../oci/digest.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { formatReference, parseReference, type Reference } from "../../oci/reference.ts";
import { BlobProgress } from "../blob-progress.ts";
import type { UnnamedFile } from "../commit/unnamed-file.ts";
import type { TransferContext } from "../context.ts";
import { BlobCopy } from "../copy-blobs.ts";
import { distinctBlobs } from "../copy-order.ts";
import { dropIngest } from "../drop-ingest.ts";
import { openSink } from "../open-place.ts";
import type { DeltaFormat } from "./create-types.ts";
import { DeltaSource } from "./delta-source.ts";

/** Where a delta is to go. */
export interface DeltaPlaces {
  /** A name in the store. */
  readonly tag?: Reference;
  readonly push?: Reference;
}

/** A delta's manifest, and the bytes of what it names. */
export interface NewDelta {
  readonly manifest: Manifest;
  readonly blobs: ReadonlyMap<Digest, UnnamedFile | Uint8Array>;
}

const CONCURRENCY = 4;

/**
 * Names for a delta, before it is made.
 * @param usual what it is called in the store where it goes nowhere else
 * @throws VarveError `REFERENCE_INVALID`
 */
export function deltaPlaces(
  { tag, push }: { readonly tag?: string; readonly push?: string },
  usual: () => string,
): DeltaPlaces {
  const name = tag ?? (push === undefined ? usual() : undefined);
  return {
    ...(name !== undefined && { tag: withoutDigest(name) }),
    ...(push !== undefined && { push: withoutDigest(push) }),
  };
}

/** As balena's engine has named them, in the beginning. @param base, target image IDs */
export function usualDeltaName(format: DeltaFormat, base: Digest, target: Digest): string {
  const hex = digestHex(digestOf(`${base}-${target}`)).slice(0, 8);
  return `delta:${format === "librsync" ? "delta" : format}-${hex}`;
}

function withoutDigest(text: string): Reference {
  const reference = parseReference(text);
  if (reference.digest === undefined) return reference;
  throw new VarveError("REFERENCE_INVALID", `a digest is no name to give: ${text}`, { hint: "give NAME:TAG" });
}

/** Puts it into the store under the name. @throws VarveError `NO_SPACE`, `IO`; the signal's reason */
export async function storeDelta(context: TransferContext, delta: NewDelta, name: Reference): Promise<void> {
  try {
    await putDelta(context, delta, formatReference(name));
  } catch (error) {
    await takeBack(context, delta);
    throw error;
  }
}

/** Puts it into the registry under the reference. @throws VarveError `UNAUTHORIZED`, `DENIED`, `REGISTRY_*` ...; the signal's reason */
export async function pushDelta(context: TransferContext, delta: NewDelta, to: Reference): Promise<void> {
  await putDelta(context, delta, `docker://${formatReference(to)}`);
}

async function putDelta(context: TransferContext, { manifest, blobs }: NewDelta, to: string): Promise<void> {
  const { onProgress } = context;
  const progress = new BlobProgress(onProgress);
  const source = new DeltaSource(manifest, blobs);
  await using sink = await openSink(context, to, {
    onEvent: (event, digest) => {
      if (digest !== undefined) progress.onEvent(event, digest);
    },
  });
  onProgress({ type: "resolve", reference: "the delta", digest: manifest.digest, to: to.replace(/^docker:\/\//, "") });
  const copy = new BlobCopy(context, source, sink, progress);
  const [config, ...layers] = distinctBlobs([manifest]).toSorted((a, b) => rank(a, manifest) - rank(b, manifest));
  copy.announce(layers);
  await copy.copy(layers, CONCURRENCY);
  if (config !== undefined) await copy.copy([config], 1);
  await sink.putDocument(manifest, { root: true });
  await sink.commit();
}

function rank({ digest }: Descriptor, { config }: Manifest): number {
  return digest === config.digest ? 0 : 1;
}

async function takeBack({ store }: TransferContext, { manifest }: NewDelta): Promise<void> {
  const digests = [manifest.digest, manifest.config.digest, ...manifest.layers.map(({ digest }) => digest)];
  // Whatever it was that ended it, this has to be done; and what ended it is what is to be told.
  const signal = new AbortController().signal;
  for (const digest of new Set(digests)) await dropIngest(store, digest, signal).catch(() => undefined);
  await store.removeUnreferenced(digests).catch(() => undefined);
}
