/**
 * A layer that is an honest one to whoever decompresses it, and says of itself, in podman's dialect of zstd:chunked (formats "zstd-chunked" §1), whatever a
 * test wants.
 */
import { layerOf, type KitLayer } from "./build-layer.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { frame, skippable } from "./zstd-chunked.ts";

/** A document as it lies in the blob. */
export interface PackedDocument {
  readonly packed: Buffer;
  /** What its annotation says that it decompresses to. */
  readonly size: number;
}

export interface Disguise {
  readonly toc: PackedDocument;
  readonly tarSplit?: PackedDocument;
  /** Lies in the blob, behind the frame that is all of the tar, where decoders skip it. */
  readonly hidden?: Buffer;
}

/** A document that is just what it says. */
export function pack(document: string | Buffer): PackedDocument {
  const bytes = Buffer.from(document);
  return { packed: frame(bytes), size: bytes.length };
}

/** Where `hidden` begins in the blob. */
export function hiddenAt(tar: Buffer): number {
  return frame(tar).length + 8;
}

export function disguisedLayer(tar: Buffer, { toc, tarSplit, hidden = Buffer.alloc(0) }: Disguise): KitLayer {
  const before = Buffer.concat([frame(tar), skippable(hidden)]);
  const tocAt = before.length + 8;
  const splitAt = tocAt + toc.packed.length + 8;
  const behind = tarSplit === undefined ? [] : [skippable(tarSplit.packed)];
  const blob = Buffer.concat([before, skippable(toc.packed), ...behind]);
  return layerOf(tar, blob, "application/vnd.oci.image.layer.v1.tar+zstd", {
    "io.github.containers.zstd-chunked.manifest-checksum": digestOf(toc.packed),
    "io.github.containers.zstd-chunked.manifest-position": `${tocAt}:${toc.packed.length}:${toc.size}:1`,
    ...(tarSplit !== undefined && {
      "io.github.containers.zstd-chunked.tarsplit-position": `${splitAt}:${tarSplit.packed.length}:${tarSplit.size}`,
    }),
  });
}
