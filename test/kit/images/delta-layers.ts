/** Reads a delta image as balena's engine does (formats "balena-delta" §5): the first entry of each layer patches the base's tars, one after the other. */
import { gunzipSync } from "node:zlib";
import { memoryBase } from "../../../src/codec/librsync/base.ts";
import { applyDelta } from "../../../src/codec/librsync/patch.ts";
import type { Manifest } from "../../../src/oci/manifest.ts";
import type { TransferContext } from "../../../src/transfer/context.ts";
import { openSource } from "../../../src/transfer/open-place.ts";
import type { KitImage } from "./build-image.ts";

export interface ReadDeltaImage {
  readonly manifest: Manifest;
  readonly config: {
    readonly created: string;
    readonly config: { readonly Labels: Readonly<Record<string, string>> };
    readonly rootfs: { readonly diff_ids: readonly string[] };
  };
  /** Tars of the layers. */
  readonly tars: readonly Buffer[];
}

export async function readDeltaImage(context: TransferContext, name: string): Promise<ReadDeltaImage> {
  await using source = await openSource(context, name);
  const manifest = (await source.root()) as Manifest;
  const read = async (blob: Manifest["config"]): Promise<Buffer> =>
    Buffer.concat(await Array.fromAsync(source.blob(blob)));
  const config = JSON.parse((await read(manifest.config)).toString()) as ReadDeltaImage["config"];
  const tars: Buffer[] = [];
  for (const layer of manifest.layers) tars.push(gunzipSync(await read(layer)));
  return { manifest, config, tars };
}

/** The delta in a delta layer's tar; undefined of an empty one. */
export function deltaIn(tar: Buffer): Buffer | undefined {
  const size = Number.parseInt(tar.toString("latin1", 124, 135), 8);
  return Number.isNaN(size) ? undefined : tar.subarray(512, 512 + size);
}

export function baseStream(base: KitImage): Buffer {
  return Buffer.concat(base.layers.map(({ tar }) => tar));
}

/** What the delta makes of the base. */
export async function patched(base: KitImage, delta: Buffer): Promise<Buffer> {
  const made = applyDelta(memoryBase(baseStream(base)), [delta] as unknown as AsyncIterable<Uint8Array>);
  return Buffer.concat(await Array.fromAsync(made, (piece) => Buffer.from(piece)));
}
