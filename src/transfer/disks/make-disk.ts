/**
 * Makes one disk of an image that the store has recorded, as a pull would: from other disks, from its blobs where they are here, and where that is
 * allowed from the registry of the image's name.
 */
import type { Manifest } from "../../oci/manifest.ts";
import { parseReference } from "../../oci/reference.ts";
import type { TransferContext } from "../context.ts";
import type { ResolvedImage } from "../resolve-image.ts";
import { Tally } from "../tally.ts";
import { DiskRows } from "./disk-rows.ts";
import { getDisks } from "./get-disks.ts";
import { getUnnamed, isNamed } from "./get-unnamed.ts";
import { blobsOf, type MachineDisk } from "./machine-parts.ts";

const CONCURRENCY = 4;

export interface RecordedMachine {
  /** Under which the store has it. */
  readonly name: string;
  readonly manifest: Manifest;
}

export interface MakeDiskOptions {
  /** Though it is there, because it is damaged; it stays until the new one takes its place. Default false. */
  readonly anew?: boolean;
}

/** When it settles the disk is in the store. @throws VarveError as a pull does */
export async function makeDisk(
  context: TransferContext,
  { name, manifest }: RecordedMachine,
  { key, disk }: MachineDisk,
  { anew = false }: MakeDiskOptions = {},
): Promise<void> {
  const { store, signal, openRegistry } = context;
  const registry = openRegistry === undefined ? context.registry : await openRegistry();
  const online: TransferContext = { ...context, registry };
  const reference = parseReference(name, { defaultTag: false });
  await using lease = await store.leases.create();
  await lease.add(key, ...blobsOf({ key, disk }).map(({ digest }) => digest));
  const rows = new DiskRows(reference, [{ key, disk }]);
  const image = { reference, digest: manifest.digest };
  const options = { image, wait: true, anew, concurrency: CONCURRENCY, tally: new Tally(), lease, rows, signal };
  const machine = { key, disk };
  if (isNamed(machine)) await getDisks(online, [machine], options);
  else await getUnnamed(online, asResolved(name, manifest), machine, options);
}

/** As far as getting blobs needs it. */
function asResolved(name: string, manifest: Manifest): ResolvedImage {
  return {
    reference: parseReference(name, { defaultTag: false }),
    name,
    root: manifest,
    manifest,
    configBytes: new Uint8Array(),
    config: undefined,
    platform: undefined,
    documents: [manifest],
    fetched: false,
    warnings: [],
  };
}
