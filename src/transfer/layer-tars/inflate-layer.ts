/**
 * Inflates a layer's blob, once, into a file without a name, so that its tar can be read in any order. It takes the room of the tar for as long as it
 * is used and no memory to speak of; the way back, an index of points to begin inflating at, would cost each short read the inflation of a megabyte.
 */
import { decompress } from "../../codec/decompress.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { digestAlgorithm, Digester, type Digest } from "../../oci/digest.ts";
import { readBlob } from "../../store/blob-file.ts";
import { UnnamedFile } from "../commit/unnamed-file.ts";
import { ensureWorkingRoom, RoomWatch } from "../working-room.ts";
import type { LayerForm } from "./layer-form.ts";

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
  const what = `the tar of layer ${diffId}, to copy from it,`;
  // Hardly anything inflates to less than it was.
  await ensureWorkingRoom(directory, blob.tarSize ?? blob.size, what);
  const room = new RoomWatch(directory, what, blob.tarSize);
  await using opened = new AsyncDisposableStack();
  const file = opened.use(await UnnamedFile.create(directory));
  const digester = new Digester(digestAlgorithm(diffId));
  for await (const chunk of decompress(readBlob(blob.path, blob.digest, { signal }), { signal, lend: true })) {
    await room.grown(file.size);
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
