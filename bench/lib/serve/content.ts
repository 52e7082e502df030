/** What the contenders serve: blobs that do not compress, large and small, and one manifest. The same files on one file system for all of them. */
import { createCipheriv, createHash } from "node:crypto";
import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../../src/oci/digest.ts";

const STEP = 1 << 20;
export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

export interface BenchBlob {
  readonly digest: string;
  readonly size: number;
  readonly path: string;
}

export interface BenchContent {
  readonly large: BenchBlob;
  /** 1 KiB to 16 MiB. */
  readonly mixed: readonly BenchBlob[];
  readonly manifest: Buffer;
}

export async function makeContent(dir: string, largeBytes: number): Promise<BenchContent> {
  await mkdir(dir, { recursive: true });
  const large = await makeBlob(dir, "large", largeBytes);
  const sizes = [1 << 10, 20_000, 200_000, 1 << 20, 4 << 20, 16 << 20];
  const mixed: BenchBlob[] = [];
  for (const size of sizes) mixed.push(await makeBlob(dir, `mixed ${size}`, size));
  const layers = [large, ...mixed].map(({ digest, size }) => ({ mediaType: LAYER_TYPE, digest, size }));
  const config = await makeBlob(dir, "config", 2000);
  const descriptor = { mediaType: CONFIG_TYPE, digest: config.digest, size: config.size };
  const document = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config: descriptor, layers };
  return { large, mixed: [...mixed, config], manifest: Buffer.from(JSON.stringify(document)) };
}

const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";
const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";

async function makeBlob(dir: string, name: string, size: number): Promise<BenchBlob> {
  const key = Buffer.from(digestOf(Buffer.from(name)).slice(-64), "hex").subarray(0, 16);
  const cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  const hash = createHash("sha256");
  const spool = join(dir, "spool");
  {
    await using file = await open(spool, "w");
    for (let at = 0; at < size; at += STEP) {
      const bytes = cipher.update(Buffer.alloc(Math.min(STEP, size - at)));
      hash.update(bytes);
      await file.write(bytes);
    }
  }
  const hex = hash.digest("hex");
  const path = join(dir, hex);
  await rename(spool, path);
  return { digest: `sha256:${hex}`, size, path };
}
