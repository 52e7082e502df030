/** How much a sweep has removed: how many, and what they took on the disk. */
import { exists } from "./folder.ts";
import { treeUsage } from "./tree-usage.ts";

export interface SweptCount {
  count: number;
  /** On the disk. */
  bytes: number;
}

export function addSwept(sum: SweptCount, { count, bytes }: SweptCount): void {
  sum.count += count;
  sum.bytes += bytes;
}

/** Bytes that removing a directory gives back; 0 when it is not there. */
export async function bytesOf(path: string): Promise<number> {
  return (await exists(path))
    ? treeUsage(path).then(
        ({ bytes }) => bytes,
        () => 0,
      )
    : 0;
}
