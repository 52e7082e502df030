/** The use case "df": what the store holds, and what of it only one image needs. */
import type { Digest } from "../oci/digest.ts";
import type { DiskInfo } from "../store/disks/types.ts";
import { reachable, reachableDisks } from "../store/unreferenced.ts";
import type { TransferContext } from "./context.ts";
import { isIndexList } from "./disks/index/index-lists.ts";
import { unpackedUsage, type UnpackedUsage } from "./unpacked.ts";

export interface DiskUsage {
  readonly root: string;
  readonly images: {
    readonly count: number;
    /** Bytes that several images need. */
    readonly sharedBytes: number;
    /** What each image needs in all, and what would go with it alone. */
    readonly each: readonly { readonly name: string; readonly bytes: number; readonly ownBytes: number }[];
  };
  readonly blobs: { readonly count: number; readonly bytes: number };
  /** What is served under `/v2/`, pushed or cached: repositories, and the bytes that they need, of which images may need some as well. */
  readonly repositories: { readonly count: number; readonly bytes: number };
  /** Whole blobs that neither an image nor a repository needs: left by pulls that were cut off. */
  readonly unreferenced: { readonly count: number; readonly bytes: number };
  /** Partial blobs, and the disk space they take. */
  readonly ingests: { readonly count: number; readonly bytes: number };
  /** Disks of virtual machines: the space they take, and what machines see, holes included. */
  readonly disks: { readonly count: number; readonly bytes: number; readonly logicalBytes: number };
  /** Disks that are not whole, and the disk space they take. */
  readonly partialDisks: { readonly count: number; readonly bytes: number };
  /** What is unpacked, of all drivers; and layers that are held apart from them. */
  readonly snapshots: UnpackedUsage["snapshots"];
  readonly layers: UnpackedUsage["layers"];
  readonly totalBytes: number;
}

export async function diskUsage({ store }: TransferContext): Promise<DiskUsage> {
  const blobs = new Map<Digest, number>();
  for await (const { digest, size } of store.content.list()) blobs.set(digest, size);
  const disks = new Map<Digest, DiskInfo>();
  for await (const disk of store.disks.list()) {
    const allocatedBytes = disk.allocatedBytes + (await store.disks.derivedBytes(disk.key));
    disks.set(disk.key, { ...disk, allocatedBytes });
  }
  const needs: { name: string; id: Digest; digests: Digest[]; isShown: boolean }[] = [];
  for (const record of await store.images.list()) {
    const { name, descriptor, manifest } = record;
    const roots = [descriptor, manifest];
    const digests = [
      ...(await reachable(store.content, roots)).keys(),
      ...(await reachableDisks(store.content, roots)),
    ].filter((digest) => blobs.has(digest) || disks.has(digest));
    // Names that nobody gave are not among the images, and yet need what they need.
    needs.push({ name, id: manifest.digest, digests, isShown: !(await isIndexList(store, record)) });
  }
  // Two names of one image do not share it with another image.
  const users = new Map<Digest, Set<Digest>>();
  for (const { id, digests } of needs) {
    for (const digest of digests) users.set(digest, (users.get(digest) ?? new Set()).add(id));
  }
  const sum = (digests: Iterable<Digest>): number =>
    [...digests].reduce((bytes, digest) => bytes + (blobs.get(digest) ?? disks.get(digest)?.allocatedBytes ?? 0), 0);
  const sharers = (digest: Digest): number => users.get(digest)?.size ?? 0;
  const served = new Set<Digest>();
  for await (const digest of store.repositories.digests()) if (blobs.has(digest)) served.add(digest);
  const unreferenced = [...blobs.keys()].filter((digest) => sharers(digest) === 0 && !served.has(digest));
  const ingests = { count: 0, bytes: 0 };
  for await (const { diskBytes } of store.content.ingests()) {
    ingests.count++;
    ingests.bytes += diskBytes;
  }
  const partialDisks = { count: 0, bytes: 0 };
  for await (const { allocatedBytes } of store.disks.partials()) {
    partialDisks.count++;
    partialDisks.bytes += allocatedBytes;
  }
  const stored = sum(blobs.keys());
  const diskBytes = sum(disks.keys());
  const { snapshots, layers } = await unpackedUsage(store);
  const shown = needs.filter(({ isShown }) => isShown);
  return {
    root: store.root,
    images: {
      count: shown.length,
      sharedBytes: sum([...blobs.keys(), ...disks.keys()].filter((digest) => sharers(digest) > 1)),
      each: shown.map(({ name, digests }) => ({
        name,
        bytes: sum(digests),
        ownBytes: sum(digests.filter((digest) => sharers(digest) === 1)),
      })),
    },
    blobs: { count: blobs.size, bytes: stored },
    repositories: { count: (await store.repositories.usage()).repositories, bytes: sum(served) },
    unreferenced: { count: unreferenced.length, bytes: sum(unreferenced) },
    ingests,
    disks: {
      count: disks.size,
      bytes: diskBytes,
      logicalBytes: [...disks.values()].reduce((bytes, { size }) => bytes + size, 0),
    },
    partialDisks,
    snapshots,
    layers,
    totalBytes: stored + diskBytes + partialDisks.bytes + ingests.bytes + snapshots.bytes + layers.bytes,
  };
}
