/** An image of one large layer that does not compress, made straight into the directory of a kit registry. */
import { createCipheriv, createHash } from "node:crypto";
import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, type Digest } from "../../src/oci/digest.ts";
import { RegistryDisk } from "../../test/kit/registry/disk.ts";

const STEP = 1 << 20;
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

export interface BulkImage {
  /** Of the layer; it is no tar, so it can only be pulled with `--no-unpack`. */
  readonly digest: Digest;
  readonly size: number;
  /** The layer's bytes. */
  readonly path: string;
}

/** @param size bytes, in whole mebibytes */
export async function makeBulkImage(dir: string, name: string, tag: string, size: number): Promise<BulkImage> {
  const disk = new RegistryDisk(dir);
  await mkdir(dir, { recursive: true });
  const spool = join(dir, "spool");
  const digest = await writeNoise(spool, size);
  await disk.adoptBlob(name, digest, spool);
  const config = Buffer.from(
    JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digest] } }),
  );
  const configSpool = join(dir, "config");
  await using file = await open(configSpool, "w");
  await file.write(config);
  await rename(configSpool, spool);
  await disk.adoptBlob(name, digestOf(config), spool);
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: CONFIG, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: LAYER, digest, size }],
    }),
  );
  await disk.putManifest(name, { manifest: { digest: digestOf(bytes), mediaType: MANIFEST, bytes }, tags: [tag] });
  return { digest, size, path: disk.contentPath(digest) };
}

async function writeNoise(path: string, size: number): Promise<Digest> {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, 7), Buffer.alloc(16));
  const hash = createHash("sha256");
  const zeros = Buffer.alloc(STEP);
  await using file = await open(path, "w");
  for (let at = 0; at < size; at += STEP) {
    const bytes = cipher.update(zeros);
    hash.update(bytes);
    await file.write(bytes);
  }
  return `sha256:${hash.digest("hex")}` as Digest;
}
