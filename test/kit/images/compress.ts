/** Layers come plain, as gzip or as zstd, in OCI's or Docker's media types: what a kit image is made in. */
import { promisify } from "node:util";
import { gzip, zstdCompress } from "node:zlib";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";

export type Compression = "none" | "gzip" | "zstd";
export type Flavour = "oci" | "docker";

export const LAYER_TYPES: Readonly<Record<Flavour, Readonly<Record<Compression, string>>>> = {
  oci: { none: MEDIA_TYPES.ociLayer, gzip: MEDIA_TYPES.ociLayerGzip, zstd: MEDIA_TYPES.ociLayerZstd },
  docker: { none: MEDIA_TYPES.dockerLayer, gzip: MEDIA_TYPES.dockerLayerGzip, zstd: MEDIA_TYPES.dockerLayerZstd },
};

export const DOCUMENT_TYPES: Readonly<Record<Flavour, { manifest: string; index: string; config: string }>> = {
  oci: { manifest: MEDIA_TYPES.ociManifest, index: MEDIA_TYPES.ociIndex, config: MEDIA_TYPES.ociConfig },
  docker: { manifest: MEDIA_TYPES.dockerManifest, index: MEDIA_TYPES.dockerIndex, config: MEDIA_TYPES.dockerConfig },
};

const gzipAsync = promisify(gzip);
const zstdAsync = promisify(zstdCompress);

/** Fast levels: the kit cares for the format, not for the ratio. */
export async function compress(tar: Buffer, compression: Compression): Promise<Buffer> {
  switch (compression) {
    case "none":
      return tar;
    case "gzip":
      return gzipAsync(tar, { level: 1 });
    case "zstd":
      return zstdAsync(tar);
  }
}
