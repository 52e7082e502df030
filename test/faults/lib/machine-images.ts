/**
 * Images of a virtual machine and of its next version, in chunks and with the index of their pieces, and what their disks have to be: made by
 * importing a raw disk, as the operation does that is cut off.
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { diskKey } from "../../../src/codec/tart/disk-key.ts";
import { zeroContents } from "../../../src/codec/tart/zero-digests.ts";
import { readDiskImage } from "../../../src/codec/tart/read-disk-image.ts";
import { importDisk, pushImage, type ImportOptions, type Varve } from "../../../src/index.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import { parseManifest, type Manifest } from "../../../src/oci/manifest.ts";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import type { MachineFacts, PublishedImage } from "./published-image.ts";

const MIB = 1 << 20;

export interface PublishedMachine extends PublishedImage {
  readonly machine: MachineFacts;
}

/** Of the disk, in each chunk. */
export const CHUNK_BYTES = MIB;

/** With these, importing the same disk makes the same image. */
export const IMPORT: ImportOptions = {
  chunkSize: CHUNK_BYTES,
  sourceDateEpoch: 1_790_000_000,
  architecture: "amd64",
};

/** The same for the program, beside `SOURCE_DATE_EPOCH`. */
export const IMPORT_FLAGS = ["--disk-chunk-size", String(CHUNK_BYTES), "--arch", "amd64"] as const;

export interface MachineImages {
  readonly machine: PublishedMachine;
  /** With some blocks changed, and longer. */
  readonly machineUpdate: PublishedMachine;
}

/** @param varve of a store for their making @param dir for the raw disks @param megabytes of each disk, about */
export async function publishMachines(
  varve: Varve,
  host: string,
  dir: string,
  megabytes: number,
  seed: number,
): Promise<MachineImages> {
  const rng = createRng(seed + 99);
  const first = diskOf(megabytes, rng);
  const second = nextOf(first, rng);
  const make = async (tag: string, content: Buffer): Promise<PublishedMachine> => {
    const source = join(dir, `machine-${tag}.img`);
    await writeFile(source, content);
    return publishMachine(varve, host, tag, source);
  };
  return { machine: await make("1", first), machineUpdate: await make("2", second) };
}

async function publishMachine(varve: Varve, host: string, tag: string, source: string): Promise<PublishedMachine> {
  const name = "scene/machine";
  const before = await digestsIn(varve);
  const { digest, imageId } = await importDisk(varve, source, `${host}/${name}:${tag}`, IMPORT);
  await pushImage(varve, `${host}/${name}:${tag}`);
  const made = (await digestsIn(varve)).difference(before);
  const manifest = parseManifest(await readFile(varve.store.content.pathOf(digest))) as Manifest;
  const [disk] = readDiskImage(manifest)?.disks ?? [];
  if (disk?.kind !== "chunks") throw new Error("an import makes one disk in chunks");
  const contents = new Map(disk.chunks.map((chunk) => [chunk.blob.digest, chunk.digest]));
  const layers = manifest.layers.map((layer) => ({ ...layer, diffId: contents.get(layer.digest) ?? layer.digest }));
  const distinct = new Map(layers.map((layer) => [layer.digest, layer.size]));
  const bytes = Array.from(distinct.values()).reduce((sum, size) => sum + size, manifest.config.size);
  return {
    name,
    tag,
    digest,
    config: imageId,
    layers,
    // With the index of its pieces and the list that names it.
    bytes: bytes + manifest.bytes.length + INDEX_BYTES,
    chain: [],
    trees: new Map(),
    machine: {
      source,
      key: diskKey(disk),
      disk,
      sha256: createHash("sha256")
        .update(await readFile(source))
        .digest("hex"),
      blobs: made,
    },
  };
}

async function digestsIn({ store }: Varve): Promise<Set<Digest>> {
  return new Set(await Array.fromAsync(store.content.digests()));
}

const INDEX_BYTES = 100_000;

/** What compresses and what does not, the same thing twice, zeros in between and at the end. */
function diskOf(megabytes: number, rng: Rng): Buffer {
  const [dense, twice] = [rng.bytes(Math.round(megabytes * 0.25) * MIB), rng.bytes(MIB)];
  const text = rng.text(Math.round(megabytes * 0.25) * MIB);
  const some = Buffer.concat([rng.bytes(300_000), Buffer.alloc(500_000), rng.text(MIB - 800_000)]);
  return Buffer.concat([dense, twice, Buffer.alloc(2 * MIB), text, some, twice, Buffer.alloc(MIB + 5 * 4096)]);
}

function nextOf(disk: Buffer, rng: Rng): Buffer {
  const next = Buffer.concat([disk, rng.text(700_000), Buffer.alloc(4096)]);
  for (let index = 0; index < 6; index++) rng.bytes(5000).copy(next, rng.int(disk.length - 5000));
  return next;
}

/** Bytes of the machine's disk that a pull has left in their places, zeros included; a pull that goes on makes none of them again. */
export async function bytesLeft({ store }: Pick<Varve, "store">, { key, disk }: MachineFacts): Promise<number> {
  const left = await store.disks.left({ key, size: disk.size });
  const zeros = await zeroContents(disk.chunks);
  const done = new Set(
    disk.chunks.flatMap(({ digest, size, offset }) =>
      digest !== undefined && left.isDone({ digest, size, offset }) ? [digest] : [],
    ),
  );
  let bytes = 0;
  for (const { blob, digest, size, offset } of disk.chunks) {
    if (digest === undefined) continue;
    // What is done in one place is copied to the others in no time.
    if (zeros.has(digest) || done.has(digest)) bytes += size;
    else for (const { start, end } of (await left.of({ digest, size, offset }, blob.digest)).held) bytes += end - start;
  }
  return bytes;
}
