/** The last act of getting an image: its documents become content, then its name is recorded. */
import type { Index, Manifest } from "../oci/manifest.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Store } from "../store/store.ts";
import type { TransferContext } from "./context.ts";
import type { ResolvedImage } from "./resolve-image.ts";

/** @returns whether the name was new or stood for something else */
export async function recordImage({ store }: TransferContext, image: ResolvedImage): Promise<boolean> {
  const { manifest, name, platform, root } = image;
  const same = await isRecorded(store, image);
  if (same) await store.images.touch(name);
  if (same && !image.fetched) return false;
  await store.content.writeBytes(manifest.config.digest, image.configBytes);
  // Children before parents: whatever a document names is there when it appears.
  for (const document of image.documents.toReversed()) await store.content.writeBytes(document.digest, document.bytes);
  if (same) return false;
  await store.images.put({
    name,
    descriptor: describe(root),
    manifest: { ...describe(manifest), ...(platform !== undefined && { platform }) },
    configDigest: manifest.config.digest,
  });
  return true;
}

/** Whether the name stands for just this image already. */
export async function isRecorded({ images }: Store, { name, root, manifest }: ResolvedImage): Promise<boolean> {
  const known = await images.get(name);
  return known?.descriptor.digest === root.digest && known.manifest.digest === manifest.digest;
}

function describe({ mediaType, digest, bytes }: Manifest | Index): Descriptor {
  return { mediaType, digest, size: bytes.length };
}
