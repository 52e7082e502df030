/** What a disk's file has to hold, from its first byte to its last: as its image says, and where that says nothing as was recorded when it was made. */
import type { ChunkedDisk, StreamedDisk } from "../../codec/tart/disk-image.ts";
import { zeroContents } from "../../codec/tart/zero-digests.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import type { ExpectedContent } from "./disk-contents.ts";

export interface ExpectedContents {
  /** Bytes of the disk. */
  readonly size: number;
  readonly contents: readonly ExpectedContent[];
}

/** Undefined when neither the image nor a record says it. */
export async function expectedContents(
  store: Store,
  key: Digest,
  disk: ChunkedDisk | StreamedDisk,
): Promise<ExpectedContents | undefined> {
  const chunks = disk.kind === "chunks" ? disk.chunks : [];
  if (disk.kind === "chunks" && chunks.every(({ digest }) => digest !== undefined)) {
    return { size: disk.size, contents: chunks.map(({ offset, size, digest }) => ({ offset, size, digest })) };
  }
  const size = await store.disks.recordedSize(key);
  if (size === undefined) return undefined;
  const recorded = await store.disks.contentsOf(key);
  // What is not recorded are zeros.
  const expected: ExpectedContent[] = [];
  let end = 0;
  for (const { offset, size: bytes, digest } of recorded) {
    if (offset > end) expected.push({ offset: end, size: offset - end, digest: undefined });
    expected.push({ offset, size: bytes, digest });
    end = offset + bytes;
  }
  if (end < size) expected.push({ offset: end, size: size - end, digest: undefined });
  return { size, contents: expected };
}

/** Those of the digests that are those of zeros, which nothing is recorded of. */
export function zeroDigests(contents: readonly ExpectedContent[]): Promise<Set<Digest>> {
  return zeroContents(
    contents.flatMap(({ digest, size, offset }) => {
      if (digest === undefined) return [];
      // As if stored, so that no size of a blob speaks against it.
      const blob = { mediaType: "", digest, size };
      return [{ blob, coding: "stored" as const, digest, size, offset }];
    }),
  );
}
