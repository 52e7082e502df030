/** A small whole image in a store: one gzip layer with one file, config, manifest and, if wanted, an index around it. */
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import type { ImageEntry } from "../../../src/store/images.ts";
import type { Store } from "../../../src/store/store.ts";

export interface PutImage {
  /** What the file hello.txt says; images of the same text share their layer. Default "hello". */
  readonly text?: string;
  /** Goes into the config, so that images of one layer differ. */
  readonly author?: string;
  /** Whether the root is an index, whose second platform is not in the store. */
  readonly index?: boolean;
}

export interface StoredImage {
  readonly entry: ImageEntry & { readonly manifest: Descriptor };
  readonly layer: Descriptor;
  readonly config: Descriptor;
  /** All that is in the store because of the image. */
  readonly digests: readonly Digest[];
}

export async function putImage(store: Store, name: string, options: PutImage = {}): Promise<StoredImage> {
  const { text = "hello", author = "nobody", index = false } = options;
  const tarball = await tarOf("hello.txt", text);
  const layer = await put(store, MEDIA_TYPES.ociLayerGzip, gzipSync(tarball));
  const platform = { os: "linux", architecture: "amd64" };
  const rootfs = { type: "layers", diff_ids: [digestOf(tarball)] };
  const config = await putJson(store, MEDIA_TYPES.ociConfig, { ...platform, author, config: {}, rootfs });
  const described = await putJson(store, MEDIA_TYPES.ociManifest, { schemaVersion: 2, config, layers: [layer] });
  const manifest = index ? { ...described, platform } : described;
  const absent = { ...described, digest: digestOf("absent"), platform: { os: "linux", architecture: "s390x" } };
  const manifests = [absent, manifest];
  const descriptor = index ? await putJson(store, MEDIA_TYPES.ociIndex, { schemaVersion: 2, manifests }) : described;
  const entry = { name, descriptor, manifest, configDigest: config.digest };
  await store.images.put(entry);
  const digests = new Set([layer, config, described, descriptor].map(({ digest }) => digest));
  return { entry, layer, config, digests: [...digests] };
}

async function putJson(store: Store, mediaType: string, value: object): Promise<Descriptor> {
  return put(store, mediaType, Buffer.from(JSON.stringify({ mediaType, ...value })));
}

async function put(store: Store, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = digestOf(bytes);
  await store.content.writeBytes(digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

async function tarOf(name: string, text: string): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name, mtime: new Date(0) }, text);
  tar.finalize();
  return Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Buffer>));
}
