/** One image of a virtual machine in the store, and what of its disks is here: what exporting, telling and checking start from. */
import type { ChunkedDisk, DiskImage, StreamedDisk } from "../../codec/tart/disk-image.ts";
import { diskKey } from "../../codec/tart/disk-key.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { DiskInfo } from "../../store/disks/types.ts";
import type { ImageRecord } from "../../store/images.ts";
import type { Store } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import { findImage } from "../find-image.ts";
import { openManifest } from "../open-image.ts";
import { isHeldName, openSource } from "../open-place.ts";
import type { ImageSource } from "../transports/types.ts";

export interface ImageDisk {
  readonly disk: ChunkedDisk | StreamedDisk;
  readonly key: Digest;
  /** The store's file; undefined when at most its blobs are here. */
  readonly held: DiskInfo | undefined;
}

/** Nothing of it is collected while it is open. */
export interface OpenDiskImage extends AsyncDisposable {
  readonly record: ImageRecord;
  readonly manifest: Manifest;
  readonly image: DiskImage;
  /** In the order of `image.disks`. */
  readonly disks: readonly ImageDisk[];
  /** Of its blobs: the store, and the registry for what was given up. */
  readonly source: ImageSource;
}

/**
 * @param name an image of the store: a name, a digest or the beginning of one
 * @throws VarveError `IMAGE_NOT_FOUND`; `USAGE` for a place elsewhere; `MEDIA_TYPE_UNSUPPORTED` when it is no machine's; `MANIFEST_INVALID`
 */
export async function openDiskImage(context: TransferContext, name: string): Promise<OpenDiskImage> {
  const { store } = context;
  if (!isHeldName(name)) {
    throw new VarveError("USAGE", `${name} is not an image of the store`, {
      hint: name.startsWith("docker://") ? `run first: varve pull ${name}` : `run first: varve copy ${name} NAME`,
    });
  }
  await using stack = new AsyncDisposableStack();
  const source = stack.use(await openSource(context, name));
  const record = await findImage(store, name);
  const { manifest } = await openManifest(source, name, undefined);
  const image = readDiskImage(manifest);
  if (image === undefined) {
    throw new VarveError("MEDIA_TYPE_UNSUPPORTED", `${name} is not the image of a virtual machine`, {
      hint: "varve unpack makes a directory of a container image",
    });
  }
  const disks = await imageDisks(store, image);
  const held = stack.move();
  return { record, manifest, image, disks, source, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** What of an image's disks the store has. */
export function imageDisks(store: Store, image: DiskImage): Promise<ImageDisk[]> {
  return Promise.all(
    image.disks.map(async (disk) => {
      const key = diskKey(disk);
      return { disk, key, held: await store.disks.stat(key) };
    }),
  );
}
