/**
 * Inflates a layer's blob, once, into a file without a name, so that its tar can be read in any order. It takes the room of the tar for as long as it
 * is used and no memory to speak of; the way back, an index of points to begin inflating at, would cost each short read the inflation of a megabyte.
 */
import { decompress } from "../../codec/decompress.ts";
import { formatBytes } from "../../errors/amounts.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { digestAlgorithm, Digester, type Digest } from "../../oci/digest.ts";
import { freeSpace } from "../../sys/free-space.ts";
import { readBlob } from "../../store/blob-file.ts";
import { UnnamedFile } from "../commit/unnamed-file.ts";
import type { LayerForm } from "./layer-form.ts";

/** Bytes after which the room is looked at again, for nobody knows how much a blob inflates to. */
const LOOK_BYTES = 64 << 20;
/** What is left to others on the disk, or an eighth of the tar where that is less: small disks have small layers. */
const SPARE_BYTES = 64 << 20;
const SPARE_SHARE = 8;

export interface InflateOptions {
  readonly diffId: Digest;
  /** A directory on the file system that has the room. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/**
 * @returns the tar, which is the DiffID's
 * @throws VarveError `NO_SPACE`, `DIFFID_MISMATCH`, `COMPRESSION_INVALID`, `BLOB_UNKNOWN`, `STORE_CORRUPT`, `INTERRUPTED`, `IO`
 */
export async function inflateLayer(
  blob: LayerForm & { readonly kind: "blob" },
  { diffId, directory, signal }: InflateOptions,
): Promise<UnnamedFile> {
  // Hardly anything inflates to less than it was.
  const expected = blob.tarSize ?? blob.size;
  await ensureRoom(directory, expected, Math.min(SPARE_BYTES, Math.ceil(expected / SPARE_SHARE)), diffId);
  await using opened = new AsyncDisposableStack();
  const file = opened.use(await UnnamedFile.create(directory));
  const digester = new Digester(digestAlgorithm(diffId));
  let looked = 0;
  for await (const chunk of decompress(readBlob(blob.path, blob.digest, { signal }), { signal, lend: true })) {
    if (file.size - looked >= LOOK_BYTES) {
      looked = file.size;
      await ensureRoom(directory, chunk.length, SPARE_BYTES, diffId);
    }
    digester.update(chunk);
    await file.append(chunk);
  }
  signal.throwIfAborted();
  const found = digester.digest();
  if (found !== diffId) {
    throw new VarveError("DIFFID_MISMATCH", `${blob.path} inflates to ${found}, not to ${diffId}`, {
      detail: { expected: diffId, computed: found },
    });
  }
  opened.move();
  return file;
}

async function ensureRoom(directory: string, bytes: number, spare: number, diffId: Digest): Promise<void> {
  const needed = bytes + spare;
  const free = await freeSpace(directory).catch(() => undefined);
  if (free === undefined || free >= needed) return;
  const figures = `${formatBytes(needed)} are needed, ${formatBytes(free)} are free`;
  throw new VarveError(
    "NO_SPACE",
    `the tar of layer ${diffId} does not fit into ${directory} to copy from it: ${figures}`,
    {
      detail: { needed, free, missing: needed - free },
    },
  );
}
