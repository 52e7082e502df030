/** Unpacks an image that the store has into snapshots, from local bytes; a blob that was given up or damaged is fetched. */
import { VarveError } from "../errors/varve-error.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { Digest } from "../oci/digest.ts";
import type { Platform } from "../oci/platform.ts";
import { parseReference } from "../oci/reference.ts";
import type { Snapshots } from "../snapshot/service.ts";
import type { DriverName } from "../snapshot/types.ts";
import type { TransferContext } from "./context.ts";
import { findImage } from "./find-image.ts";
import { getLayers } from "./get-layers.ts";
import { openManifest, readConfigBytes, readImageConfig } from "./open-image.ts";
import { openSource } from "./open-place.ts";
import type { LayerTask } from "./present-layer.ts";
import { platformOf, type ResolvedImage } from "./resolve-image.ts";
import { openSnapshots, unpackedBy } from "./snapshotter.ts";
import { Tally } from "./tally.ts";

export interface UnpackedImage {
  /** The name under which the store has it. */
  readonly name: string;
  readonly snapshots: Snapshots;
  /** Of all its layers; undefined for an image without layers. */
  readonly chainId: Digest | undefined;
}

const CONCURRENCY = 4;

/**
 * Finds the snapshots of an image of the store, and makes those that are missing.
 * @param wanted of a platform; undefined for the one that was pulled
 * @throws VarveError `IMAGE_NOT_FOUND`, `MEDIA_TYPE_UNSUPPORTED` for artifacts, `DRIVER_UNAVAILABLE` when nothing can be mounted here,
 * `DIFFID_MISMATCH`, `NO_SPACE` ...
 */
export async function unpackHeld(
  context: TransferContext,
  text: string,
  wanted: Platform | undefined,
): Promise<UnpackedImage> {
  const { store, signal, snapshotter } = context;
  await using source = await openSource(context, text);
  const { name } = await findImage(store, text);
  const { root, manifest } = await openManifest(source, text, wanted);
  const config = await readImageConfig(source, manifest, text, signal);
  const { diffIds } = config.rootfs;
  const chain = chainIds(diffIds);
  const top = chain.at(-1);
  const choice = snapshotter?.choice ?? "auto";
  const driver = top && (await unpackedBy(store, choice, top));
  if (driver !== undefined) return { name, snapshots: await openSnapshots(store, driver), chainId: top };
  const snapshots = await openAny(context);
  if (top === undefined) return { name, snapshots, chainId: undefined };
  const image: ResolvedImage = {
    reference: parseReference(name),
    name,
    root,
    manifest,
    configBytes: await readConfigBytes(source, manifest, signal),
    config,
    platform: platformOf(config),
    documents: [...new Set([root, manifest])],
    fetched: false,
    warnings: [],
  };
  const tasks = new Map<Digest, LayerTask>();
  for (const [index, blob] of manifest.layers.entries()) {
    tasks.set(blob.digest, { reference: image.reference, blob, diffId: diffIds[index] });
  }
  await using lease = await store.leases.create();
  await lease.add(...chain, ...diffIds, ...manifest.layers.map(({ digest }) => digest));
  const tally = new Tally();
  const options = { check: true, wait: true, concurrency: CONCURRENCY, tally, lease, snapshots };
  const { tars } = await getLayers(context, image, [...tasks.values()], options);
  await tars.drop();
  return { name, snapshots, chainId: top };
}

/** The snapshots that are to be worked with when nothing says which. @throws VarveError `DRIVER_UNAVAILABLE` */
export async function openAny({ store, snapshotter }: TransferContext): Promise<Snapshots> {
  const opened = await snapshotter?.open();
  if (opened?.snapshots !== undefined) return opened.snapshots;
  // Who says what may be mounted where nothing is recommended has chosen: copies work everywhere.
  const named: DriverName | undefined = snapshotter?.choice === "copy" ? "copy" : undefined;
  if (named !== undefined) return openSnapshots(store, named);
  throw new VarveError("DRIVER_UNAVAILABLE", opened?.why ?? "no snapshotter is in use: it was set to none", {
    hint: "name one with --snapshotter; varve snapshots ls --drivers tells what each needs",
  });
}
