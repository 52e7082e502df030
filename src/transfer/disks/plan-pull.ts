/** How the image of a machine would come, without moving it: what `pull --plan` tells, found out as the pull itself does. */
import { zeroContents } from "../../codec/tart/zero-digests.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { contentAt, DiskContents, type DiskPlace } from "../../plan/disk-contents.ts";
import type { TransferContext } from "../context.ts";
import { knownRates } from "../known-rates.ts";
import { planLayer } from "../plan-layer.ts";
import type { LayerResult, PullDone } from "../pull-result.ts";
import type { ResolvedImage } from "../resolve-image.ts";
import { SourcesOnDemand } from "../sources-on-demand.ts";
import { ContentPlans } from "./content-plans.ts";
import { DiskRows } from "./disk-rows.ts";
import { isNamed, tellFetched, unnamedBlobs } from "./get-unnamed.ts";
import { heldContents } from "./held-contents.ts";
import { diskResults, distinctDisks, heldDisks, keptBlobs, type MachineDisk } from "./machine-parts.ts";
import type { DiskTask } from "./open-disks.ts";
import type { PullDisksOptions } from "./pull-disks.ts";

export async function planPull(
  context: TransferContext,
  image: ResolvedImage,
  disks: readonly MachineDisk[],
  { concurrency, tally }: PullDisksOptions,
): Promise<PullDone> {
  const { store } = context;
  const rows = new DiskRows(image.reference, disks);
  const held = await heldDisks(store, disks);
  const missing = distinctDisks(disks).filter(({ key }) => !held.has(key));
  const kept = await planBlobs(context, image, keptBlobs(image.manifest, disks), concurrency);
  await planNamed(context, image, missing.filter(isNamed), { rows, tally, concurrency });
  for (const disk of missing) {
    tellFetched(disk, await planBlobs(context, image, unnamedBlobs(disk), concurrency), rows);
  }
  const layers = rows.inOrder(image.manifest, kept);
  return { status: "planned", layers, disks: diskResults(disks, held, (disk) => rows.costOf(disk)), resumedBytes: 0 };
}

/** Blobs that come as they are. */
async function planBlobs(
  context: TransferContext,
  { reference }: ResolvedImage,
  blobs: readonly Descriptor[],
  concurrency: number,
): Promise<LayerResult[]> {
  await using sources = new SourcesOnDemand(context.store, { readOnly: true });
  const facts = {
    layersLeft: blobs.length,
    concurrency,
    unpacks: () => Promise.resolve(false),
    isUnpacked: false,
    discards: false,
    sources: sources.open,
    rates: await knownRates(context, reference),
  };
  const rows: LayerResult[] = [];
  for (const blob of blobs) rows.push(await planLayer(context, { reference, blob, diffId: undefined }, facts));
  return rows;
}

async function planNamed(
  context: TransferContext,
  { reference, manifest }: ResolvedImage,
  disks: readonly DiskTask[],
  { rows, tally, concurrency }: Pick<PullDisksOptions, "tally" | "concurrency"> & { readonly rows: DiskRows },
): Promise<void> {
  const { store, signal } = context;
  const chunked = disks.map(({ disk }) => disk);
  const zeros = await zeroContents(
    chunked.flatMap(({ chunks }) => chunks),
    { signal },
  );
  const contents = new DiskContents(chunked, zeros);
  const held = await heldContents(store, contents);
  const left = await Promise.all(disks.map(({ key, disk }) => store.disks.left({ key, size: disk.size })));
  const whereDone = (piece: number): DiskPlace | undefined =>
    contents.places(piece).find((place) => left[place.disk]!.isDone(contentAt(contents, piece, place)));
  const image = { reference, digest: manifest.digest };
  const given = { image, tally, concurrency, signal, readOnly: true };
  const isHere = (piece: number): boolean => whereDone(piece) !== undefined;
  await using plans = await ContentPlans.open(context, contents, held, isHere, given);
  for (const disk of chunked) rows.setZeros(disk, zeros);
  for (let piece = 0; piece < contents.length; piece++) {
    const done = whereDone(piece);
    const first = done ?? contents.places(piece)[0]!;
    if (done === undefined) {
      const content = contentAt(contents, piece, first);
      const { cost, why } = plans.get(
        piece,
        await left[first.disk]!.of(content, contents.chunk(piece).blob.digest),
      ).plan;
      const { network, local, data, zero, requests } = cost;
      const facts = { how: "disk", bytes: { network, local, data, zero }, requests, why } as const;
      rows.setContent(chunked, contents, piece, first, facts);
    } else rows.setContent(chunked, contents, piece, first, { how: "disk", why: "here from an earlier try" });
  }
}
