/** A store as a whole: one directory that is an OCI image layout, with the metadata and the locks that belong to it. */
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Collection, CollectOptions } from "./collect.ts";
import { ContentStore } from "./content.ts";
import { checkStore, createStore } from "./create-store.ts";
import { Metadata } from "./database.ts";
import { DiskStore } from "./disks/disk-store.ts";
import { Examination } from "./examine.ts";
import { ImageStore } from "./images.ts";
import type { StepHook } from "./ingest-place.ts";
import { LayerRecords } from "./layer-records.ts";
import { StoreLayout } from "./layout.ts";
import { Leases } from "./leases.ts";
import { StoreLocks } from "./locks.ts";
import { RegistryRates } from "./registry-rates.ts";
import { Repositories } from "./repositories.ts";
import { SnapshotRecords } from "./snapshot-records.ts";
import type { Removal } from "./unreferenced.ts";

export interface StoreOptions {
  /** Only read, and make nothing, so that it works on a read-only file system. A root that is missing reads as empty. Default false. */
  readonly readOnly?: boolean;
  /** For work that frees space: it may use the store's reserve on a disk that has no room at all. Default false. */
  readonly reclaims?: boolean;
  /** Whether content and metadata survive a power cut once they are called stored. Default true. */
  readonly sync?: boolean;
  /** Milliseconds since 1970, for timestamps and the expiry of leases. Default `Date.now`. */
  readonly clock?: () => number;
  /**
   * Unrecorded bytes of a blob at which its progress is made durable; a second after the first of them at the latest. Default
   * 64 MiB. `Infinity` records nothing: what is cut off is then lost.
   */
  readonly checkpointBytes?: number;
  /** For tests: called after each step of a commit, a discard or a collection of garbage. */
  readonly onStep?: StepHook;
}

export interface Store extends AsyncDisposable {
  /** Absolute. */
  readonly root: string;
  readonly content: ContentStore;
  /** Raw disks of virtual machines. */
  readonly disks: DiskStore;
  readonly images: ImageStore;
  readonly layers: LayerRecords;
  readonly snapshots: SnapshotRecords;
  readonly registryRates: RegistryRates;
  /** What is served under `/v2/`. */
  readonly repositories: Repositories;
  readonly leases: Leases;
  readonly locks: StoreLocks;
  readonly examination: Examination;
  /** Removes those of the digests that no image, lease or process needs. Take the image's name out first. */
  removeUnreferenced(digests: Iterable<Digest>): Promise<Removal>;
  /** What other tools have put into index.json. */
  foreignRoots(): Promise<readonly Descriptor[]>;
  /** Removes what nothing needs: unreferenced blobs, old partial data and what goes with them. Runs beside everything else. */
  collectGarbage(options?: CollectOptions): Promise<Collection>;
  /** Closes the database. Ingests are closed by who opened them. Also done when the store is disposed. */
  close(): Promise<void>;
}

/**
 * Opens the store at `root`; makes it, or makes one of an OCI image layout that is there.
 *
 * @throws VarveError `STORE_NEWER` (and leaves it as it is), `STORE_READ_ONLY`, `TARGET_NOT_EMPTY`, `PATH_INVALID`,
 * `PERMISSION`, `NO_SPACE`, `IO`
 */
export async function openStore(root: string, options: StoreOptions = {}): Promise<Store> {
  const { readOnly = false, reclaims = false, sync = true, clock = Date.now, onStep = () => {} } = options;
  const { checkpointBytes } = options;
  const layout = new StoreLayout(resolve(root));
  if (reclaims) await (await import("./reserve.ts")).useReserve(layout);
  const locks = new StoreLocks(layout.locks);
  if (readOnly) await checkStore(layout);
  else await createStore(layout, locks, sync);
  // Tidying up can wait when it fails; what really is wrong shows at work.
  if (!readOnly) await tidyUp(layout, locks).catch(() => {});

  const metadata = new Metadata({ layout, locks, readOnly, sync });
  const leases = new Leases(metadata, locks, clock);
  const isLeased = (digest: Digest): Promise<boolean> => leases.isLeased(digest);
  const content = new ContentStore({
    layout,
    locks,
    readOnly,
    sync,
    isLeased,
    isServed: (digest) => repositories.needs(digest),
    step: onStep,
    ...(checkpointBytes !== undefined && { checkpointBytes }),
  });
  const disks = new DiskStore({
    layout,
    locks,
    metadata,
    readOnly,
    sync,
    isLeased,
    now: clock,
    step: onStep,
    ...(checkpointBytes !== undefined && { checkpointBytes }),
  });
  const images = new ImageStore({ layout, locks, metadata, readOnly, sync, now: clock });
  const layers = new LayerRecords(metadata);
  const repositories: Repositories = new Repositories(metadata, content, clock);
  const parts = { layout, locks, content, disks, images, layers, repositories, metadata };
  const close = async (): Promise<void> => {
    await repositories.writeUses().catch(() => undefined);
    await metadata.close();
    if (reclaims) await (await import("./reserve.ts")).keepReserve(layout);
  };
  return {
    root: layout.root,
    content,
    disks,
    images,
    layers,
    snapshots: new SnapshotRecords(metadata, clock),
    registryRates: new RegistryRates(metadata, clock),
    repositories,
    leases,
    locks,
    examination: new Examination(layout, metadata, images),
    async removeUnreferenced(digests) {
      const { removeUnreferenced } = await import("./unreferenced.ts");
      return removeUnreferenced(parts, digests);
    },
    foreignRoots: async () => (await (await import("./image-index.ts")).readForeign(layout)).descriptors,
    async collectGarbage(options) {
      const { collectGarbage } = await import("./collect.ts");
      return collectGarbage({ ...parts, leases, now: clock, step: onStep }, options);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Nearly always there is nothing to tidy up, and then what would do it need not be loaded. */
async function tidyUp(layout: StoreLayout, locks: StoreLocks): Promise<void> {
  if ((await readdir(layout.ingests)).length === 0) return;
  await (await import("./ingests.ts")).sweepIngests(layout, locks);
}
