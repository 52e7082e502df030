/**
 * The use case "pull" for the image of a virtual machine: its configuration, NVRAM and the like are kept as blobs, and its disks as raw files with
 * holes. Here is what a pull that is up to date needs; the rest is loaded when there is something to get.
 */
import type { DiskImage } from "../../codec/tart/disk-image.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Store } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import { presentResult } from "../present-layer.ts";
import type { PullDone } from "../pull-result.ts";
import { isRecorded } from "../record-image.ts";
import type { ResolvedImage } from "../resolve-image.ts";
import type { Tally } from "../tally.ts";
import { DiskRows } from "./disk-rows.ts";
import { blobsOf, diskResults, disksOf, heldDisks, keptBlobs, type MachineDisk } from "./machine-parts.ts";

export interface PullDisksOptions {
  /** Tell what would move, and move nothing. */
  readonly plan: boolean;
  /** Wait for other processes that fetch the same. */
  readonly wait: boolean;
  /** Transfers at once. */
  readonly concurrency: number;
  readonly tally: Tally;
}

/** @throws VarveError `MANIFEST_INVALID`, `MEDIA_TYPE_UNSUPPORTED` for the image; as `pull` */
export async function pullDisks(
  context: TransferContext,
  image: ResolvedImage,
  options: PullDisksOptions,
): Promise<PullDone> {
  const machine = readMachine(image);
  const disks = disksOf(machine);
  if (options.plan) return (await import("./plan-pull.ts")).planPull(context, image, disks, options);
  const present = await findPresent(context, image, disks);
  if (present !== undefined) return present;
  return (await import("./get-machine.ts")).getMachine(context, image, disks, options);
}

function readMachine({ manifest, name }: ResolvedImage): DiskImage {
  const machine = readDiskImage(manifest);
  if (machine !== undefined) return machine;
  throw new VarveError("INTERNAL", `${name} is taken for a virtual machine's image, and is none`);
}

/** What there is to tell when there is nothing to do, as for other images; a disk is here too when all its blobs are. */
async function findPresent(
  context: TransferContext,
  image: ResolvedImage,
  disks: readonly MachineDisk[],
): Promise<PullDone | undefined> {
  const { store } = context;
  if (image.fetched || !(await isRecorded(store, image))) return undefined;
  const kept = keptBlobs(image.manifest, disks);
  if (!(await areHeld(store, kept))) return undefined;
  const held = await heldDisks(store, disks);
  for (const disk of disks) {
    if (!held.has(disk.key) && !(await areHeld(store, blobsOf(disk)))) return undefined;
  }
  await store.images.touch(image.name);
  await store.leases.finish(image.name);
  const present = kept.map((blob) => presentResult(context, { reference: image.reference, blob, diffId: undefined }));
  for (const { key, disk } of disks) {
    const total = held.get(key)?.size ?? (disk.kind === "chunks" ? disk.size : 0);
    context.onProgress({ type: "disk-queued", digest: key, name: disk.name, total });
    context.onProgress({ type: "layer-present", digest: key, total });
  }
  const rows = new DiskRows(image.reference, disks);
  return {
    status: "up-to-date",
    layers: rows.inOrder(image.manifest, present),
    disks: diskResults(disks, held, (disk) => rows.costOf(disk)),
    resumedBytes: 0,
  };
}

async function areHeld({ content }: Store, blobs: Iterable<Descriptor>): Promise<boolean> {
  for (const { digest, size } of blobs) if ((await content.stat(digest))?.size !== size) return false;
  return true;
}
