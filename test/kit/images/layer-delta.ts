/** Deltas of single layers, as they are published beside an image (formats "tar-diff" §2). */
import { generateTarDiff } from "../../../src/codec/tar-diff/generate/generate.ts";
import { memoryBase } from "../../../src/codec/librsync/base.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { PublishedDelta } from "../../../src/transfer/deltas/publish/types.ts";
import { collect, opening } from "../http/test-client.ts";
import { deltaOf } from "./build-delta.ts";
import type { KitLayer } from "./build-layer.ts";
import { compress } from "./compress.ts";
import { wrapDelta } from "./delta-image.ts";

export interface LayerDeltaOptions {
  /** In the place of what the delta would be, before it is packed. */
  readonly delta?: Uint8Array;
  /** In the place of what goes over the wire. */
  readonly bytes?: Uint8Array;
  /** Whatever it is really from. */
  readonly base?: readonly Digest[];
}

/** A delta of one layer from others: for librsync all layers of an image, for tar-diff one. */
export async function layerDelta(
  how: PublishedDelta["how"],
  from: readonly KitLayer[],
  { tar, diffId }: KitLayer,
  options: LayerDeltaOptions = {},
): Promise<PublishedDelta & { readonly delta: Uint8Array }> {
  const base = Buffer.concat(from.map((layer) => layer.tar));
  const make = how === "tar-diff" ? collect(generateTarDiff(memoryBase(base), memoryBase(tar))) : deltaOf(base, tar);
  const delta = options.delta ?? (await make);
  const bytes = options.bytes ?? (how === "tar-diff" ? delta : await compress(wrapDelta(delta), "gzip"));
  const blob = { digest: digestOf(bytes), size: bytes.length };
  const named = options.base ?? from.map((layer) => layer.diffId);
  return { how, blob, base: named, to: diffId, size: tar.length, open: opening(bytes), delta };
}
