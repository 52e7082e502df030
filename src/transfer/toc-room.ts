/**
 * Bounds what tables of contents, and what goes with them, take in memory over all layers at once: one layer's always has room, further ones only as long
 * as all together are not too large. Who gets none pulls the layer whole. A table gives its room back when nobody has it any more; that it may be noticed late is no
 * matter, because only the largest of tables come near the bound.
 */
import { VarveError } from "../errors/varve-error.ts";

const ROOM_BYTES = 128 << 20;

/** Of one layer. */
export interface TocRoom {
  /** Takes more, when more turns out to be needed. @throws TOC_LIMIT */
  take(bytes: number): void;
}

interface Taken {
  bytes: number;
  /** Undefined while it is being fetched. */
  table?: WeakRef<object>;
}

const taken = new Set<Taken>();

/** @param bytes what the table will take, as far as that is known @throws TOC_LIMIT, and what `fetch` throws */
export async function inTocRoom<T extends object>(bytes: number, fetch: (room: TocRoom) => Promise<T>): Promise<T> {
  const mine: Taken = { bytes: 0 };
  take(mine, bytes);
  taken.add(mine);
  try {
    const table = await fetch({ take: (more) => take(mine, more) });
    mine.table = new WeakRef(table);
    return table;
  } catch (error) {
    taken.delete(mine);
    throw error;
  }
}

function take(mine: Taken, bytes: number): void {
  let others = 0;
  for (const one of taken) {
    if (one.table !== undefined && one.table.deref() === undefined) taken.delete(one);
    else if (one !== mine) others += one.bytes;
  }
  if (others > 0 && others + mine.bytes + bytes > ROOM_BYTES) {
    throw new VarveError("TOC_LIMIT", "the tables of contents of several layers are too large to be used side by side");
  }
  mine.bytes += bytes;
}
