/**
 * Gets a disk again that is damaged or missing, as a pull of its image would: from other disks, its blobs, the registry. What a damaged one holds that
 * is still right is taken over first, so that only the rest has to come.
 */
import { lstat, open } from "node:fs/promises";
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
/** What files can share. */
const BLOCK_BYTES = 4096;

/**
 * The disk that is there stays until the new one is whole and takes its place, whatever happens meanwhile.
 * @throws VarveError as a pull
 */
export async function getAgain({ store, context }: Check, { key, of, good }: Mendable): Promise<void> {
  const { image, manifest, disk } = of;
  const { signal } = context;
  const path = store.disks.pathOf(key);
  const found = await lstat(path).catch(() => undefined);
  // A link has none of the disk's bytes, and nothing could be made as long as it is there.
  if (found?.isSymbolicLink() === true) await store.disks.remove(key);
  const there = found?.isFile() === true;
  if (there && good.length > 0 && disk.kind === "chunks") {
    const partial = await store.disks.open({ key, size: disk.size }, { anew: true, signal });
    if ("window" in partial) await takeOver(path, partial, good, signal);
  }
  const { makeDisk } = await import("../disks/make-disk.ts");
  await makeDisk(context, { name: image, manifest }, { key, disk }, { anew: there });
}

/** What is done stays when the disk is closed, and is not fetched. Blocks are shared where the file system can. */
async function takeOver(
  path: string,
  partial: PartialDisk,
  good: readonly DiskContent[],
  signal: AbortSignal,
): Promise<void> {
  await using disk = partial;
  await using old = await open(path, "r");
  await using own = await open(disk.path, "r");
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  for (const content of good) {
    if (disk.isDone(content)) continue;
    signal.throwIfAborted();
    await using window = await disk.window(content, { signal });
    const range = { descriptor: old.fd, start: content.offset, length: content.size };
    const inPlace = isWholeBlocks(range) && (await window.share(0, range));
    const from = inPlace ? own : old;
    const digester = new Digester(digestAlgorithm(content.digest));
    for (let done = 0; done < content.size;) {
      signal.throwIfAborted();
      const length = Math.min(PIECE_BYTES, content.size - done);
      const { bytesRead } = await from.read(buffer, 0, length, content.offset + done);
      if (bytesRead === 0) break;
      const bytes = buffer.subarray(0, bytesRead);
      digester.update(bytes);
      await window.write(done, bytes, { inPlace });
      done += bytesRead;
    }
    // Where it has changed since it was found to be right it is got like the rest.
    if (digester.digest() === content.digest) await window.commit({ digest: content.digest, size: content.size });
    else await window.discard();
  }
}

function isWholeBlocks({ start, length }: { readonly start: number; readonly length: number }): boolean {
  return start % BLOCK_BYTES === 0 && length % BLOCK_BYTES === 0;
}
