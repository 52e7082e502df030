/** A place of a disk as an ingest that has a disk of its own: its end is the end of the work on the disk. */
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { DiskWindow, PartialDisk } from "../../../src/store/disks/types.ts";
import type { Store } from "../../../src/store/store.ts";

/** Where the window begins: no multiple of anything. */
const OFFSET = 70_001;

export async function openPartialDisk(store: Store, key: Digest, size: number): Promise<PartialDisk> {
  const disk = await store.disks.open({ key, size });
  if ("commit" in disk) return disk;
  throw new Error(`the disk ${key} is there already`);
}

export async function openWindow(
  store: Store,
  { digest, size }: { readonly digest: Digest; readonly size: number },
): Promise<DiskWindow> {
  const disk = await openPartialDisk(store, digestOf(`a disk with ${digest}`), OFFSET + size + 777);
  const window = await disk.window({ digest, size, offset: OFFSET });
  const dispose = window[Symbol.asyncDispose].bind(window);
  return Object.assign(window, {
    [Symbol.asyncDispose]: async () => {
      await dispose();
      await disk[Symbol.asyncDispose]();
    },
  });
}
