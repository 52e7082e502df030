/** Where things that follow each other begin: sums of their lengths, and who has a position. */

/**
 * The last of those that begin at `position` or before: of several that begin there, the one that has bytes, as those without any come first.
 * @param starts in order, the first of them 0; its `count` first are looked at
 * @param position not negative
 */
export function findStart(starts: Float64Array, count: number, position: number): number {
  let [low, high] = [0, count];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] ?? Infinity) <= position) low = middle;
    else high = middle;
  }
  return low;
}
