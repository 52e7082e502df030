/**
 * Deltas of an image kept beside it where no registry is: in a store (transports/store-referrers.ts) or a layout, among what refers to the image. A
 * push or copy of it takes them along as all that refers to it.
 */
import type { ImageSink } from "../../transports/types.ts";
import type { DeltasToPublish, PublishResult } from "./types.ts";
import { configDelta, writeDeltaManifest } from "./write-manifest.ts";

/**
 * @param sink opened for the image's name; committed here, with nothing but the deltas
 * @throws VarveError `MANIFEST_TOO_LARGE`, as the sink; whatever the deltas' bytes throw
 */
export async function keepDeltas(
  sink: ImageSink,
  { target, base, deltas }: DeltasToPublish,
  signal: AbortSignal,
): Promise<PublishResult> {
  const manifest = writeDeltaManifest(target, base, deltas);
  const blobs = new Map([configDelta, ...deltas].map((one) => [one.blob.digest, one]));
  let copied = 0;
  for (const delta of blobs.values()) {
    const descriptor = { mediaType: "application/octet-stream", ...delta.blob };
    if (await sink.has(descriptor)) continue;
    await sink.putBlob(descriptor, delta.open(0), signal);
    copied++;
  }
  await sink.putDocument(manifest, { root: false, referrer: true });
  await sink.commit();
  const { mediaType, digest, bytes } = manifest;
  const descriptor = { mediaType, digest, size: bytes.length };
  return { manifest: descriptor, copied, present: blobs.size - copied, warnings: [] };
}
