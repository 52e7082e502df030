/**
 * The store's disks among what is held: the contents of each are its files, named by where they begin, for the next version of a disk has most of a
 * content in the same place. What is known of a disk's pieces lies in a folder beside it, `HEX.index`, which goes with the disk; in parts of
 * some gigabytes, because one part's pieces are in memory at a time.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { DiskContent, DiskInfo } from "../disks/types.ts";
import type { Store } from "../store.ts";
import type { HeldFile, HeldLayer } from "./held-layer.ts";

/** Of a disk, in one part of its index. */
const PART_BYTES = 8 * 2 ** 30;
/** Where nobody knows what a disk's contents are, it has contents of so many bytes, as Tart makes them. */
const CONTENT_BYTES = 512 << 20;

/** @throws VarveError as the store's database */
export async function heldDisks({ disks }: Pick<Store, "disks">): Promise<HeldLayer[]> {
  const held: HeldLayer[] = [];
  for await (const disk of disks.list()) {
    const known = await disks.contentsOf(disk.key);
    const parts = Map.groupBy(known.length > 0 ? known : guessed(disk), ({ offset }) =>
      Math.floor(offset / PART_BYTES),
    );
    for (const [part, contents] of parts) held.push(heldPart(disk, contents, part, disks));
  }
  return held;
}

function heldPart(
  { key, path }: DiskInfo,
  contents: readonly Pick<DiskContent, "offset" | "size">[],
  part: number,
  disks: Store["disks"],
): HeldLayer {
  const folder = join(`${path}.index`, String(part));
  return {
    folder,
    form: "devices",
    roots: [path],
    diffId: key,
    isCovered: false,
    kept: [key],
    isThere: async () => (await disks.stat(key)) !== undefined,
    prepare: async () => void (await mkdir(folder, { recursive: true })),
    isDisk: true,
    files: () =>
      contents.map(({ offset, size }): HeldFile => ({ path: String(offset), size, device: 0, start: offset })),
  };
}

function guessed({ size }: DiskInfo): Pick<DiskContent, "offset" | "size">[] {
  return Array.from({ length: Math.ceil(size / CONTENT_BYTES) }, (_, at) => {
    const offset = at * CONTENT_BYTES;
    return { offset, size: Math.min(CONTENT_BYTES, size - offset) };
  });
}
