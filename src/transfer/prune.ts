/** The use case "prune": takes out images that were not used for long, or as many as make the store small enough; then collects. */
import { matchesGlob } from "node:path";
import { chainIds } from "../oci/chain-id.ts";
import { isDigest, type Digest } from "../oci/digest.ts";
import { VarveError } from "../errors/varve-error.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { ImageRecord } from "../store/images.ts";
import type { Store } from "../store/store.ts";
import { reachable, reachableDisks } from "../store/unreferenced.ts";
import type { TransferContext } from "./context.ts";
import { isIndexList } from "./disks/index/index-lists.ts";
import { collectGarbage, type GcOptions, type GcResult } from "./gc.ts";
import { openManifest, readImageConfig } from "./open-image.ts";
import { choosePrunable, type PrunableImage, type PruneChoice, type PruneFacts } from "./prune-rules.ts";
import { StoreSource } from "./transports/store.ts";
import { unpackedUsage } from "./unpacked.ts";

export interface PruneOptions extends GcOptions {
  /** Only images that no pull has brought or found up to date for so long, in milliseconds. Default: of any age. */
  readonly olderThanMs?: number;
  /** Take out the least recently used first, until the store takes no more than this, in bytes. Default: all that may go. */
  readonly keepBytes?: number;
  /**
   * Only images whose canonical name it matches: `*` stands for anything but slashes, `**` for anything. One without a slash is held
   * against the last part of the name. Goes with one of the two above.
   */
  readonly filter?: string;
  /** Milliseconds since 1970. Default: now. */
  readonly now?: number;
}

export interface PruneResult {
  readonly removed: readonly { readonly name: string; readonly digest: Digest; readonly pulledAt: string }[];
  readonly kept: PruneChoice["keep"];
  /** What was collected after the names were gone, theirs included. */
  readonly collected: GcResult;
  readonly freedBytes: number;
  /** Of the store afterwards, partial data included. */
  readonly totalBytes: number;
  /** Whether the store takes no more than was asked for; null when no size was. */
  readonly smallEnough: boolean | null;
  readonly dryRun: boolean;
}

/**
 * Without an age and a size no image is taken out, and only garbage is collected.
 * @throws VarveError `USAGE`, and as `collectGarbage`
 */
export async function prune(context: TransferContext, options: PruneOptions = {}): Promise<PruneResult> {
  const { store } = context;
  const { dryRun = false, keepBytes, olderThanMs, filter } = options;
  const wanted = keepBytes !== undefined || olderThanMs !== undefined;
  if (filter !== undefined && !wanted) {
    throw new VarveError("USAGE", "a filter alone does not say which of the images may go", {
      hint: "add --older-than or --keep-storage; to take out images by name use varve rm",
    });
  }
  const records: ImageRecord[] = [];
  for (const record of await store.images.list()) if (!(await isIndexList(store, record))) records.push(record);
  const choice = wanted ? await choose(context, records, options) : undefined;
  const chosen = new Set(choice?.remove.map(({ name }) => name));
  const going = records.filter(({ name }) => chosen.has(name));
  // An image that was pulled again since is not the one that was chosen.
  const gone = new Set(dryRun ? chosen : await store.images.deleteUnchanged(going));
  const collected = await collectGarbage(context, options);
  const totalBytes = dryRun && choice !== undefined ? choice.storeBytes : await storeBytes(store);
  const freedBytes = dryRun && choice !== undefined ? (await storeBytes(store)) - totalBytes : collected.freedBytes;
  return {
    removed: going
      .filter(({ name }) => gone.has(name))
      .map(({ name, descriptor, updatedAt }) => ({
        name,
        digest: descriptor.digest,
        pulledAt: updatedAt.toISOString(),
      })),
    kept: choice?.keep ?? [],
    collected,
    freedBytes,
    totalBytes,
    smallEnough: keepBytes === undefined ? null : totalBytes <= keepBytes,
    dryRun,
  };
}

async function choose(
  context: TransferContext,
  records: readonly ImageRecord[],
  { olderThanMs, keepBytes, filter, now = Date.now(), partialsOlderThanMs }: PruneOptions,
): Promise<PruneChoice> {
  const { store } = context;
  const images: PrunableImage[] = [];
  for (const record of records) images.push(await prunable(context, record));
  // Images' blobs are no garbage, so what is collected later is theirs or this.
  const age = partialsOlderThanMs === undefined ? {} : { partialsOlderThanMs };
  const garbage = await collectGarbage({ ...context, onProgress: () => {} }, { ...age, dryRun: true });
  const freed = await freedSizes(store, images);
  const facts: PruneFacts = {
    images,
    storeBytes: (await storeBytes(store)) - garbage.freedBytes,
    freedBy: (digest) => freed.get(digest) ?? 0,
  };
  return choosePrunable(facts, {
    now,
    ...(olderThanMs !== undefined && { olderThanMs }),
    ...(keepBytes !== undefined && { keepBytes }),
    ...(filter !== undefined && { accepts: nameFilter(filter) }),
  });
}

async function prunable(context: TransferContext, record: ImageRecord): Promise<PrunableImage> {
  const { name, descriptor, manifest, updatedAt } = record;
  const { host, name: path } = parseReference(name, { defaultTag: false });
  const { content } = context.store;
  const needs = await reachable(content, [manifest, descriptor]);
  const layers = await layersOf(context, record);
  const diffIds = layers.filter((text): text is Digest => isDigest(text));
  return {
    name,
    repository: formatReference({ host, name: path }),
    usedAt: updatedAt.getTime(),
    layers,
    digests: [
      ...needs.keys(),
      ...(await reachableDisks(content, [manifest, descriptor])),
      ...diffIds.map((diffId) => `layer ${diffId}`),
      ...chainIds(diffIds).map((chainId) => `snapshot ${chainId}`),
    ],
  };
}

/** DiffIDs, so that the same base counts as one however it is compressed; of artifacts the blobs. None of a damaged image. */
async function layersOf({ store, signal }: TransferContext, record: ImageRecord): Promise<readonly string[]> {
  const source = new StoreSource(store, record);
  try {
    const { manifest } = await openManifest(source, record.name, undefined);
    const config = await readImageConfig(source, manifest, record.name, signal).catch(() => undefined);
    return config?.rootfs.diffIds ?? manifest.layers.map(({ digest }) => digest);
  } catch {
    return [];
  }
}

/** Bytes of the images' blobs and disks, and of what is unpacked of them, that nothing but images needs. */
async function freedSizes(store: Store, images: readonly PrunableImage[]): Promise<Map<string, number>> {
  const theirs = new Set(images.flatMap(({ digests }) => digests));
  const foreign = await store.foreignRoots();
  const others = new Set<Digest>([
    ...(await reachable(store.content, foreign)).keys(),
    ...(await reachableDisks(store.content, foreign)),
  ]);
  const freed = new Map<string, number>();
  for await (const [digest, bytes] of heldBytes(store)) {
    if (!theirs.has(digest) || others.has(digest) || (await store.leases.isLeased(digest))) continue;
    freed.set(digest, bytes);
  }
  for (const [key, bytes] of (await unpackedUsage(store)).bytesOf) {
    const digest = key.slice(key.indexOf(" ") + 1);
    if (!theirs.has(key) || (isDigest(digest) && (await store.leases.isLeased(digest)))) continue;
    freed.set(key, bytes);
  }
  return freed;
}

async function storeBytes(store: Store): Promise<number> {
  const { content, disks } = store;
  const { snapshots, layers } = await unpackedUsage(store);
  let bytes = snapshots.bytes + layers.bytes;
  for await (const [, held] of heldBytes(store)) bytes += held;
  for await (const { diskBytes } of content.ingests()) bytes += diskBytes;
  for await (const { allocatedBytes } of disks.partials()) bytes += allocatedBytes;
  return bytes;
}

/** Blobs by their digests, disks of machines by their keys. */
async function* heldBytes({ content, disks }: Store): AsyncGenerator<[digest: Digest, bytes: number]> {
  for await (const { digest, size } of content.list({ odd: "skip" })) yield [digest, size];
  for await (const { key, allocatedBytes } of disks.list()) yield [key, allocatedBytes];
}

function nameFilter(pattern: string): (name: string) => boolean {
  const whole = pattern.includes("/");
  return (name) => matchesGlob(whole ? name : name.slice(name.lastIndexOf("/") + 1), pattern);
}
