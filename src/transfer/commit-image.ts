/**
 * The use case "commit": what was written to an active snapshot becomes the topmost layer of a new image; config and manifest follow those
 * of the image that the snapshot was made from. The snapshot stays as it is.
 */
import type { Compression } from "../codec/compress.ts";
import { VarveError } from "../errors/varve-error.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { Digest } from "../oci/digest.ts";
import { hostPlatform, type Platform } from "../oci/platform.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import { withChanges } from "../snapshot/changes/with-changes.ts";
import { newConfig, newManifest, type BaseDocuments } from "./commit/documents.ts";
import { findBase } from "./commit/find-base.ts";
import { storeLayer, type NewLayer } from "./commit/store-layer.ts";
import type { TransferContext } from "./context.ts";
import { findActive } from "./find-snapshot.ts";
import { openManifest, readImageConfig } from "./open-image.ts";
import { openSource } from "./open-place.ts";
import { platformOf } from "./resolve-image.ts";

export interface CommitOptions {
  /** Becomes a comment in the history. */
  readonly message?: string;
  /** Default: the base's stays the image's. */
  readonly author?: string;
  /** Of the new layer. Default gzip, which every engine reads. */
  readonly compression?: Compression;
  /** Seconds since 1970: the image's time, and the latest that files may have. Default: now, and as they are. */
  readonly sourceDateEpoch?: number;
}

export interface CommitResult {
  readonly snapshot: string;
  /** In full. */
  readonly image: string;
  readonly digest: Digest;
  readonly imageId: Digest;
  readonly chainId: Digest;
  /** Name of the image that it was made from; null for nothing. */
  readonly base: string | null;
  /** The new ones: mostly one. */
  readonly layers: readonly {
    readonly digest: Digest;
    readonly diffId: Digest;
    readonly mediaType: string;
    /** Bytes of the blob, and of the tar. */
    readonly size: number;
    readonly uncompressedSize: number;
    readonly entries: number;
  }[];
  readonly durationMs: number;
}

interface OpenBase extends BaseDocuments {
  readonly platform: Platform | undefined;
  readonly diffIds: readonly Digest[];
}

/**
 * @param key of an active snapshot
 * @param name what the new image is called; what it stood for before loses it
 * @throws VarveError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_STATE`, `IMAGE_NOT_FOUND` for a base that is gone, `REFERENCE_INVALID`,
 * `SOURCE_CHANGED` when somebody writes to the snapshot meanwhile, `PATH_INVALID` for names that a layer cannot have, `NO_SPACE` ...
 */
export async function commitImage(
  context: TransferContext,
  key: string,
  name: string,
  options: CommitOptions = {},
): Promise<CommitResult> {
  const startedAt = performance.now();
  const { store } = context;
  const image = imageName(name);
  const { snapshots } = await findActive(context, key);
  const { id } = await store.snapshots.find(snapshots.driver.name, key);
  const { image: baseName, above } = await findBase(context, await store.snapshots.chain(id));
  await using held = new AsyncDisposableStack();
  const base = baseName === undefined ? undefined : await openBase(context, baseName, held);
  const lease = held.use(await store.leases.create());
  if (base !== undefined) await lease.add(...contentOf(base));
  const layers: NewLayer[] = [];
  const { compression = "gzip", sourceDateEpoch, author, message } = options;
  for (const snapshot of above) {
    const work = (changes: Parameters<typeof storeLayer>[1]): Promise<NewLayer> =>
      storeLayer(context, changes, { compression, sourceDateEpoch, lease });
    layers.push(await withChanges({ store, snapshots }, snapshot.key, work, { signal: context.signal }));
  }
  const platform = base?.platform ?? hostPlatform();
  const createdAt = sourceDateEpoch === undefined ? Date.now() : sourceDateEpoch * 1000;
  const config = newConfig(base, platform, layers, { createdAt, author, message });
  const manifest = newManifest(base, config.descriptor, layers);
  for (const { bytes, descriptor } of [config, manifest]) {
    await lease.add(descriptor.digest);
    await store.content.writeBytes(descriptor.digest, bytes);
  }
  await store.images.put({
    name: image,
    descriptor: manifest.descriptor,
    manifest: { ...manifest.descriptor, platform },
    configDigest: config.descriptor.digest,
  });
  return {
    snapshot: key,
    image,
    digest: manifest.descriptor.digest,
    imageId: config.descriptor.digest,
    chainId: chainIds([...(base?.diffIds ?? []), ...layers.map(({ diffId }) => diffId)]).at(-1)!,
    base: baseName ?? null,
    layers: layers.map(({ descriptor: { digest, mediaType, size }, diffId, tarSize, entries }) => {
      return { digest, diffId, mediaType, size, uncompressedSize: tarSize, entries };
    }),
    durationMs: Math.round(performance.now() - startedAt),
  };
}

function imageName(text: string): string {
  const reference = parseReference(text);
  if (reference.digest === undefined) return formatReference(reference);
  throw new VarveError("REFERENCE_INVALID", `a digest is no name to give: ${text}`, { hint: "give NAME:TAG" });
}

/** Nobody can clean it up while `held` lasts. */
async function openBase(context: TransferContext, name: string, held: AsyncDisposableStack): Promise<OpenBase> {
  const source = held.use(await openSource(context, name));
  const { manifest } = await openManifest(source, name, undefined);
  const config = await readImageConfig(source, manifest, name, context.signal);
  return { manifest, configBytes: config.bytes, platform: platformOf(config), diffIds: config.rootfs.diffIds };
}

function contentOf({ manifest }: OpenBase): Digest[] {
  return [manifest.digest, manifest.config.digest, ...manifest.layers.map(({ digest }) => digest)];
}
