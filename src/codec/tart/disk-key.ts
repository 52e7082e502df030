/**
 * What a disk is known by on this machine, whoever made the image: the digest of what is said of its contents. Images that hold the same disk,
 * however they are compressed or named, share one file; where contents have no digests, those of their blobs stand for them.
 */
import { digestOf, type Digest } from "../../oci/digest.ts";
import type { ChunkedDisk, StreamedDisk } from "./disk-image.ts";

/** A part of the store's format: it is never to change. */
export function diskKey(disk: ChunkedDisk | StreamedDisk): Digest {
  const lines =
    disk.kind === "stream"
      ? disk.blobs.map(({ digest }) => `stream ${digest}`)
      : disk.chunks.map(({ blob, coding, digest, size }) =>
          digest === undefined ? `${coding} ${blob.digest} ${size}` : `content ${digest} ${size}`,
        );
  return digestOf(Buffer.from(`varve disk 1\n${lines.join("\n")}\n`));
}
