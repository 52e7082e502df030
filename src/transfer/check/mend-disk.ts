/**
 * Gets a disk again that is damaged or missing, as a pull of its image would: from other disks, its blobs, the registry. What a damaged one holds that
 * is still right is taken over first, so that only the rest has to come.
 */
import { open, type FileHandle } from "node:fs/promises";
import { VarveError } from "../../errors/varve-error.ts";
import { digestAlgorithm, Digester, type Digest } from "../../oci/digest.ts";
import type { DiskContent, PartialDisk } from "../../store/disks/types.ts";
import type { Check, ImageDisk } from "./check.ts";

export interface Mendable {
  readonly key: Digest;
  readonly of: ImageDisk;
  /** What was found to be right. */
  readonly good: readonly DiskContent[];
}

const PIECE_BYTES = 1 << 20;

/** @throws VarveError `STORE_BUSY` when it is in use; as a pull */
export async function getAgain({ store, context }: Check, { key, of, good }: Mendable): Promise<void> {
  const { image, manifest, disk } = of;
  const { signal } = context;
  await using old = await open(store.disks.pathOf(key), "r").catch(() => undefined);
  if (old !== undefined && !(await store.disks.remove(key))) {
    throw new VarveError("STORE_BUSY", "it is in use by another process, or leased by an unfinished pull");
  }
  if (old !== undefined && good.length > 0 && disk.kind === "chunks") {
    const partial = await store.disks.open({ key, size: disk.size }, { signal });
    if ("window" in partial) await takeOver(old, partial, good, signal);
  }
  const { makeDisk } = await import("../disks/make-disk.ts");
  await makeDisk(context, { name: image, manifest }, { key, disk });
}

/** What is done stays when the disk is closed, and is not fetched. */
async function takeOver(
  old: FileHandle,
  partial: PartialDisk,
  good: readonly DiskContent[],
  signal: AbortSignal,
): Promise<void> {
  await using disk = partial;
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  for (const content of good) {
    if (content.size === 0 || disk.isDone(content)) continue;
    signal.throwIfAborted();
    await using window = await disk.window(content, { signal });
    const digester = new Digester(digestAlgorithm(content.digest));
    for (let done = 0; done < content.size;) {
      signal.throwIfAborted();
      const length = Math.min(PIECE_BYTES, content.size - done);
      const { bytesRead } = await old.read(buffer, 0, length, content.offset + done);
      if (bytesRead === 0) break;
      const bytes = buffer.subarray(0, bytesRead);
      digester.update(bytes);
      await window.write(done, bytes);
      done += bytesRead;
    }
    if (digester.digest() === content.digest) await window.commit({ digest: content.digest, size: content.size });
    else await window.discard();
  }
}
