/**
 * The use case "fsck": whether the store is what it says. It reads every blob through, every document, every layer down to its
 * DiffID, what is unpacked of them, every disk down to the digests of its contents, and the metadata; it may run beside everything else. With `repair` it mends what it can: metadata from what is there,
 * content from the registries that the images came from, only what is broken.
 */
import { availableParallelism } from "node:os";
import { VarveError } from "../errors/varve-error.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { Digest } from "../oci/digest.ts";
import type { ImageRecord } from "../store/images.ts";
import type { Lease } from "../store/leases.ts";
import { reachable } from "../store/unreferenced.ts";
import { checkBlobs, removeDamaged } from "./check/blobs.ts";
import type { Check } from "./check/check.ts";
import { Findings, type Finding } from "./check/findings.ts";
import { checkImages } from "./check/images.ts";
import { checkLeftovers } from "./check/leftovers.ts";
import { checkMetadata } from "./check/metadata.ts";
import { checkRepositories } from "./check/repositories.ts";
import { checkSnapshots } from "./check/snapshots.ts";
import type { TransferContext } from "./context.ts";
import { findImages } from "./find-image.ts";
import { openManifest, readImageConfig } from "./open-image.ts";
import { StoreSource } from "./transports/store.ts";

export type { Finding, FindingKind } from "./check/findings.ts";

export interface CheckOptions {
  /** Only these images and what they need. Default: everything. */
  readonly images?: readonly string[];
  /** Mend what can be mended. Default false: nothing is changed. */
  readonly repair?: boolean;
  /** Blobs at once. Default: one per core, at least two, eight at most. */
  readonly concurrency?: number;
}

export interface StoreReport {
  /** No errors, or all of them were mended. Leftovers do not count. */
  readonly sound: boolean;
  readonly checked: {
    readonly images: number;
    readonly blobs: number;
    readonly bytes: number;
    readonly layers: number;
    readonly snapshots: number;
    /** Of virtual machines. */
    readonly disks: number;
  };
  readonly findings: readonly Finding[];
  readonly durationMs: number;
}

/** @throws VarveError `IMAGE_NOT_FOUND`, `STORE_READ_ONLY` when mending, `STORE_NEWER`, `INTERRUPTED`, `PERMISSION` */
export async function checkStore(context: TransferContext, options: CheckOptions = {}): Promise<StoreReport> {
  const startedAt = performance.now();
  const { images = [], repair = false } = options;
  const { concurrency = Math.min(8, Math.max(2, availableParallelism())) } = options;
  const { store } = context;
  const findings = new Findings(repair);
  const counts = { blobs: 0, bytes: 0, layers: 0, images: 0, snapshots: 0, disks: 0 };
  const states: Check["states"] = new Map();
  const check: Check = {
    context,
    store,
    findings,
    repair,
    concurrency,
    states,
    counts,
    layers: new Map(),
    disks: new Map(),
    chunks: new Set(),
    lease: undefined,
  };
  if (await checkMetadata(check)) {
    await using lease = repair ? await store.leases.create() : undefined;
    await checkContent({ ...check, lease }, images);
  } else if (images.length > 0) {
    throw new VarveError("STORE_CORRUPT", "the store's metadata is damaged, so no image can be looked up", {
      hint: "run: varve fsck --repair",
    });
  } else {
    await checkBlobs(check);
  }
  return {
    sound: findings.isSound(),
    checked: counts,
    findings: findings.list(),
    durationMs: Math.round(performance.now() - startedAt),
  };
}

async function checkContent(
  check: Check & { readonly lease: Lease | undefined },
  names: readonly string[],
): Promise<void> {
  const { store } = check;
  if (names.length > 0) {
    const records = new Map<string, ImageRecord>();
    for (const name of names) for (const record of await findImages(store, name)) records.set(record.name, record);
    const chosen = [...records.values()];
    await checkBlobs(check, await presentOf(check, chosen));
    await checkImages(check, chosen);
    await checkSnapshots(check, new Set((await Promise.all(chosen.map((image) => chainsOf(check, image)))).flat()));
    return;
  }
  await checkBlobs(check);
  await checkImages(check, await store.images.list());
  await checkSnapshots(check);
  await checkRepositories(check);
  if (check.repair) await removeDamaged(check);
  await checkLeftovers(check);
}

/** Names of the snapshots of an image's layers; none of one that is damaged. */
async function chainsOf({ store, context }: Check, image: ImageRecord): Promise<Digest[]> {
  const source = new StoreSource(store, image);
  try {
    const { manifest } = await openManifest(source, image.name, undefined);
    return chainIds((await readImageConfig(source, manifest, image.name, context.signal)).rootfs.diffIds);
  } catch {
    return [];
  }
}

async function presentOf({ store }: Check, images: readonly ImageRecord[]): Promise<Digest[]> {
  const needed = await reachable(
    store.content,
    images.flatMap(({ manifest, descriptor }) => [manifest, descriptor]),
  );
  return [...needed.keys()];
}
