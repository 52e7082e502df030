/**
 * Which parts of a buffer are zeros. Windows of 64 KiB first, because one comparison of memory says all of a window; in those that hold
 * something, blocks of 4 KiB, because that is what file systems give back (sparse-files, 4). Both lie on multiples of their size in the
 * file, so that no write straddles a hole's edge within a block.
 */
const WINDOW = 64 << 10;
/** What holes are made of. */
export const HOLE_BLOCK = 4 << 10;
const ZEROS = Buffer.alloc(WINDOW);

/** A stretch of a buffer: `[start, end)`. */
export type Stretch = readonly [start: number, end: number];

/** Whether all of `[start, end)` are zeros. */
export function isZero(buffer: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += WINDOW) {
    const stop = Math.min(end, at + WINDOW);
    // Most of what is no zeros shows in its first byte, and asking that costs no call.
    if (buffer[at] !== 0 || ZEROS.compare(buffer, at, stop, 0, stop - at) !== 0) return false;
  }
  return true;
}

/** The stretches of `[start, end)` that are not zeros, ascending. @param position of `start` in the file */
export function dataStretches(buffer: Uint8Array, start: number, end: number, position: number): Stretch[] {
  const found: [number, number][] = [];
  const shift = start - position;
  const add = (from: number, to: number): void => {
    const last = found.at(-1);
    if (last !== undefined && last[1] === from) last[1] = to;
    else found.push([from, to]);
  };
  for (let at = start; at < end;) {
    const windowEnd = Math.min(end, nextMultiple(at - shift, WINDOW) + shift);
    if (!isZero(buffer, at, windowEnd)) {
      for (let block = at; block < windowEnd;) {
        const blockEnd = Math.min(windowEnd, nextMultiple(block - shift, HOLE_BLOCK) + shift);
        if (!isZero(buffer, block, blockEnd)) add(block, blockEnd);
        block = blockEnd;
      }
    }
    at = windowEnd;
  }
  return found;
}

function nextMultiple(value: number, of: number): number {
  return (Math.floor(value / of) + 1) * of;
}
