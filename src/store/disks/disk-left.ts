/** What an earlier process has left of a disk, read without its lock and changing nothing: for plans, not for work. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import type { Digest } from "../../oci/digest.ts";
import { crediblePieces } from "../claims.ts";
import { Journal } from "../journal.ts";
import { RangeSet } from "../range-set.ts";
import { Borders } from "./borders.ts";
import { DoneLog } from "./done-log.ts";
import type { DiskContent, DiskLeft, PlaceLeft } from "./types.ts";

const NOTHING: DiskLeft = {
  isDone: () => false,
  of: () => Promise.resolve({ held: [], checkpoints: { before: () => undefined } }),
};

/** @param folder of the partial disk @throws VarveError `IO`, `PERMISSION` */
export async function readLeft(
  folder: string,
  disk: { readonly key: Digest; readonly size: number },
): Promise<DiskLeft> {
  try {
    const done = await DoneLog.read(join(folder, "done"), disk);
    const found = await stat(join(folder, "data")).catch(() => undefined);
    // As who opens it decides: of another disk, or changed by somebody else.
    if (done === undefined || found === undefined) return NOTHING;
    const isCredible = found.size === disk.size;
    const places = new Map(isCredible ? done.map((content) => [content.offset, content]) : []);
    return {
      isDone: ({ digest, size, offset }) => {
        const place = places.get(offset);
        return place?.digest === digest && place.size === size;
      },
      of: (content, blob) => readPlace(folder, content, blob),
    };
  } catch (error) {
    throw toVarveError(error, `reading the progress of the disk ${disk.key}`);
  }
}

async function readPlace(folder: string, content: DiskContent, blob: Digest): Promise<PlaceLeft> {
  const { digest, size } = content;
  const place = join(folder, String(content.offset));
  const journal = await Journal.read(join(place, "journal")).catch(() => undefined);
  const isUsable = journal?.header.digest === digest && journal.header.size === size;
  const held = isUsable ? new RangeSet(crediblePieces(journal.pieces, size)).toArray() : [];
  await using checkpoints = await Borders.open(join(place, "borders"), { size, content: digest, blob });
  return { held, checkpoints };
}
