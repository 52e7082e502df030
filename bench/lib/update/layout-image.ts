/** An image of gzip layers as an OCI layout, made of tars that are streamed, so that they may be of any size. */
import { createHash, type Hash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

export type Tar = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** @param dir of the layout; of several images in one, layers that are the same are there once */
export async function writeLayout(dir: string, tars: readonly Tar[]): Promise<void> {
  const blobs = join(dir, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const layers: Blob[] = [];
  const diffIds: string[] = [];
  for (const tar of tars) {
    const spool = join(dir, "spool");
    const plain = createHash("sha256");
    const packed = { hash: createHash("sha256"), size: 0 };
    await pipeline(
      Readable.from(counting(tar, plain), { objectMode: false, highWaterMark: 1 << 20 }),
      createGzip(),
      (bytes: AsyncIterable<Uint8Array>) => counting(bytes, packed.hash, (length) => (packed.size += length)),
      createWriteStream(spool),
    );
    const hex = packed.hash.digest("hex");
    await rename(spool, join(blobs, hex));
    const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
    layers.push({ mediaType, digest: `sha256:${hex}`, size: packed.size });
    diffIds.push(`sha256:${plain.digest("hex")}`);
  }
  const put = async (mediaType: string, value: object): Promise<Blob> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const config = await put("application/vnd.oci.image.config.v1+json", {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: diffIds },
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await put(mediaType, { schemaVersion: 2, mediaType, config, layers });
  await writeFile(join(dir, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  await writeFile(join(dir, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}

async function* counting(tar: Tar, hash: Hash, count?: (length: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of tar) {
    hash.update(chunk);
    count?.(chunk.length);
    yield chunk;
  }
}
