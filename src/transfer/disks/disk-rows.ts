/**
 * What a pull of a machine says of each layer: the blobs that are kept as any image's, and the chunks of its disks, whose bytes come from elsewhere as
 * often as from their blobs. Plans and pulls count with this, so that they agree.
 */
import type { ChunkedDisk } from "../../codec/tart/disk-image.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { Reference } from "../../oci/reference.ts";
import type { DiskContents, DiskPlace } from "../../plan/disk-contents.ts";
import { addBytes, noBytes } from "../../recipe/bytes.ts";
import { resultOf } from "../present-layer.ts";
import type { DiskResult, LayerResult } from "../pull-result.ts";
import { blobsOf, type MachineDisk } from "./machine-parts.ts";

type Facts = Partial<LayerResult> & Pick<LayerResult, "how">;

export class DiskRows {
  readonly #reference: Reference;
  /** By the manifest's own descriptor: one blob may be several layers. */
  readonly #rows = new Map<Descriptor, LayerResult>();
  /** Bytes that are copied within the disks, of the rows' local ones. */
  readonly #copied = new Map<Descriptor, number>();
  readonly #digests = new Map<Descriptor, Digest | undefined>();

  /** @param disks of the image */
  constructor(reference: Reference, disks: readonly MachineDisk[]) {
    this.#reference = reference;
    for (const { disk } of disks) {
      if (disk.kind === "chunks") for (const { blob, digest } of disk.chunks) this.#digests.set(blob, digest);
    }
  }

  /** What is said of a layer. @param diffId of the bytes that it holds. Default: what the manifest says */
  set(blob: Descriptor, facts: Facts, diffId: Digest | undefined = this.#digests.get(blob)): void {
    this.#rows.set(blob, resultOf({ reference: this.#reference, blob, diffId }, facts));
  }

  /** What is zeros stays a hole. */
  setZeros({ chunks }: ChunkedDisk, zeros: ReadonlySet<Digest>): void {
    for (const { blob, digest, size } of chunks) {
      if (digest === undefined || !zeros.has(digest)) continue;
      const facts = { how: "disk", bytes: { ...noBytes(), zero: size }, why: "zeros, which are a hole" } as const;
      this.set(blob, facts, digest);
    }
  }

  /** The content comes as these facts say to the place `first`, and as a copy to all others that it has. */
  setContent(
    disks: readonly ChunkedDisk[],
    contents: DiskContents,
    piece: number,
    first: DiskPlace,
    facts: Facts,
  ): void {
    const { digest, size } = contents.chunk(piece);
    for (const place of contents.places(piece)) {
      const blob = blobAt(disks, place);
      const isFirst = place.disk === first.disk && place.offset === first.offset;
      const copied = {
        how: "disk",
        bytes: { ...noBytes(), local: size },
        why: "a copy of what is elsewhere in it",
      } as const;
      this.set(blob, isFirst ? facts : copied, digest);
      if (!isFirst) this.#copied.set(blob, size);
    }
  }

  /**
   * One row for each layer, in the manifest's order. What nothing was said of is here.
   * @param others of blobs that are kept; of one that is listed twice only the first counts as moved
   */
  inOrder({ layers }: Manifest, others: readonly LayerResult[]): LayerResult[] {
    const byDigest = new Map(others.map((row) => [row.digest, row]));
    return layers.map((blob) => {
      const own = this.#rows.get(blob) ?? byDigest.get(blob.digest);
      byDigest.delete(blob.digest);
      const task = { reference: this.#reference, blob, diffId: this.#digests.get(blob) };
      return own ?? resultOf(task, { how: "present" });
    });
  }

  /** What the disk's chunks cost together. */
  costOf(disk: MachineDisk): Pick<DiskResult, "bytes" | "requests"> {
    const bytes = { ...noBytes(), copied: 0 };
    let requests = 0;
    for (const blob of blobsOf(disk)) {
      const row = this.#rows.get(blob);
      if (row === undefined) continue;
      addBytes(bytes, row.bytes);
      bytes.copied += this.#copied.get(blob) ?? 0;
      requests += row.requests;
    }
    return { bytes, requests };
  }
}

function blobAt(disks: readonly ChunkedDisk[], { disk, offset }: DiskPlace): Descriptor {
  const { chunks } = disks[disk]!;
  let [low, high] = [0, chunks.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    // Empty chunks share their offset with the one behind them.
    if (chunks[middle]!.offset <= offset) low = middle;
    else high = middle - 1;
  }
  return chunks[low]!.blob;
}
