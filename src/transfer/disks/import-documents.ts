/** The documents of an imported disk, as Tart writes them (formats "tart" §1), and what can be said against making them. */
import { diskKey } from "../../codec/tart/disk-key.ts";
import { TART_DISK_FORMAT_LABEL } from "../../codec/tart/names.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import type { DiskChunk } from "../../codec/tart/disk-image.ts";
import { tartConfig, tartManifest, type BlobFacts, type ChunkBlob } from "../../codec/tart/write-tart.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { parseManifest, type Manifest } from "../../oci/manifest.ts";
import type { Store } from "../../store/store.ts";
import type { ImportHold } from "./import-hold.ts";
import type { Machine } from "./import-machine.ts";

export interface DocumentFacts {
  readonly machine: Machine;
  /** In the order of the disk. */
  readonly chunks: readonly ChunkBlob[];
  readonly labels: Readonly<Record<string, string>>;
  readonly uploadTime: Date;
}

export interface MadeDocuments {
  readonly manifest: Manifest;
  readonly descriptor: Descriptor;
  readonly key: Digest;
  /** Of the disk, as the manifest has them. */
  readonly chunks: readonly DiskChunk[];
}

/**
 * Makes them, and puts them into the store.
 * @throws VarveError `MANIFEST_TOO_LARGE`
 */
export async function putDocuments(store: Store, hold: ImportHold, facts: DocumentFacts): Promise<MadeDocuments> {
  const { machine, chunks, labels, uploadTime } = facts;
  const { os, architecture, diskFormat, nvram } = machine;
  const put = async (bytes: Buffer): Promise<BlobFacts> => {
    const digest = digestOf(bytes);
    await hold.add(digest);
    await store.content.writeBytes(digest, bytes);
    return { digest, size: bytes.length };
  };
  const manifestOf = (config: BlobFacts, vmConfig: BlobFacts): Buffer =>
    tartManifest({ config, vmConfig, chunks, nvram: factsOf(nvram), uploadTime });
  const config = await put(tartConfig({ os, architecture, diskFormat, labels }));
  // The key goes by the chunks alone, so a manifest without the machine tells it.
  const { key } = diskOf(manifestOf(config, config));
  const vmConfig = await put(machine.config(key));
  await put(nvram);
  const bytes = manifestOf(config, vmConfig);
  const { digest, size } = await put(bytes);
  const { manifest, chunks: parsed } = diskOf(bytes);
  return { manifest, descriptor: { mediaType: manifest.mediaType, digest, size }, key, chunks: parsed };
}

/**
 * Before the disk is read: whether its chunks can be named in a manifest.
 * @throws VarveError `PATH_INVALID` for a disk without a byte, `MANIFEST_TOO_LARGE`
 */
export function checkCapacity(diskBytes: number, chunkSize: number): void {
  if (diskBytes === 0) {
    throw new VarveError("PATH_INVALID", "the disk has no byte", { hint: "Tart takes no disk without a byte" });
  }
  const none = factsOf(Buffer.alloc(0));
  const chunk = { ...none, content: { ...none, size: chunkSize } };
  const count = Math.ceil(diskBytes / chunkSize);
  // Far more than fit need not be written down to know it.
  const chunks = Array.from({ length: Math.min(count, MOST_TRIED) }, () => chunk);
  tartManifest({ config: none, vmConfig: none, chunks, nvram: none, uploadTime: new Date(0) });
}

const MOST_TRIED = 20_000;

/** @throws VarveError `USAGE` for labels that Tart's own is one of, or that have no name */
export function checkLabels(labels: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(labels)) {
    if (name === TART_DISK_FORMAT_LABEL) throw new VarveError("USAGE", `the label ${name} says what the disk is`);
    if (name !== "" && name.isWellFormed() && value.isWellFormed()) continue;
    throw new VarveError("USAGE", "a label has a name and a value, written as NAME=VALUE");
  }
}

function diskOf(bytes: Buffer): { manifest: Manifest; key: Digest; chunks: readonly DiskChunk[] } {
  const manifest = parseManifest(bytes) as Manifest;
  const [disk] = readDiskImage(manifest)?.disks ?? [];
  if (disk?.kind !== "chunks") throw new VarveError("INTERNAL", "the manifest that was made is no disk's");
  return { manifest, key: diskKey(disk), chunks: disk.chunks };
}

function factsOf(bytes: Buffer): BlobFacts {
  return { digest: digestOf(bytes), size: bytes.length };
}
