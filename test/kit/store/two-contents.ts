/** A sample as a disk: its halves are two contents, the first a little larger, so that the second begins at no border of anything. */
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { DiskContent } from "../../../src/store/disks/types.ts";
import type { Sample } from "./sample.ts";

export interface SampleDisk {
  readonly key: Digest;
  readonly contents: readonly (DiskContent & { readonly bytes: Buffer })[];
}

export function twoContents({ bytes, digest, size }: Sample): SampleDisk {
  const middle = Math.floor(size / 2) + 333;
  const contents = [
    [0, middle],
    [middle, size],
  ].map(([start = 0, end]) => {
    const half = bytes.subarray(start, end);
    return { digest: digestOf(half), size: half.length, offset: start, bytes: half };
  });
  return { key: digestOf(`a disk of ${digest}`), contents };
}
