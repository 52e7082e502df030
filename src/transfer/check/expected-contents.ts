/** What a disk's file has to hold, from its first byte to its last: as its image says, and where that says nothing as was recorded when it was made. */
import type { ChunkedDisk, StreamedDisk } from "../../codec/tart/disk-image.ts";
import { zeroContents } from "../../codec/tart/zero-digests.ts";
import type { Digest } from "../../oci/digest.ts";
import type { DiskInfo } from "../../store/disks/types.ts";
import type { Store } from "../../store/store.ts";
import type { ExpectedContent } from "./disk-contents.ts";

/** Undefined when neither the image nor a record says it. */
export async function expectedContents(
  store: Store,
  key: Digest,
  disk: ChunkedDisk | StreamedDisk,
  { size, allocatedBytes }: Pick<DiskInfo, "size" | "allocatedBytes">,
): Promise<ExpectedContent[] | undefined> {
  const chunks = disk.kind === "chunks" ? disk.chunks : [];
  if (disk.kind === "chunks" && chunks.every(({ digest }) => digest !== undefined)) {
    return chunks.map(({ offset, size: bytes, digest }) => ({ offset, size: bytes, digest }));
  }
  const recorded = await store.disks.contentsOf(key);
  // Of a disk that is nothing but zeros nothing is recorded.
  if (recorded.length === 0 && allocatedBytes > 0) return undefined;
  // What is not recorded are zeros.
  const expected: ExpectedContent[] = [];
  let end = 0;
  for (const { offset, size: bytes, digest } of recorded) {
    if (offset > end) expected.push({ offset: end, size: offset - end, digest: undefined });
    expected.push({ offset, size: bytes, digest });
    end = offset + bytes;
  }
  if (end < size) expected.push({ offset: end, size: size - end, digest: undefined });
  return expected;
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
