/** The layers of an image that is pulled, as tasks, and their results in the image's order. */
import { VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import { isLayerType } from "../oci/media-types.ts";
import { noBytes } from "../recipe/bytes.ts";
import type { LayerTask } from "./present-layer.ts";
import type { LayerResult } from "./pull-result.ts";
import type { ResolvedImage } from "./resolve-image.ts";

/** @throws VarveError `MEDIA_TYPE_UNSUPPORTED` for a layer that could be fetched but never unpacked */
export function layerTasks({ manifest, config, reference, name }: ResolvedImage, check: boolean): LayerTask[] {
  return manifest.layers.map((blob, index) => {
    if (check && config !== undefined && !isLayerType(blob.mediaType)) {
      throw new VarveError("MEDIA_TYPE_UNSUPPORTED", `${name}: layer ${blob.digest} is of type ${blob.mediaType}`, {
        hint: "varve pull --no-unpack fetches it as it is",
      });
    }
    return { reference, blob, diffId: config?.rootfs.diffIds[index] };
  });
}

/** A layer that is listed twice is got once. @throws VarveError `DIFFID_MISMATCH` when it is said to be two things */
export function distinctTasks(tasks: readonly LayerTask[]): LayerTask[] {
  const distinct = new Map<Digest, LayerTask>();
  for (const task of tasks) {
    const same = distinct.get(task.blob.digest);
    if (same === undefined) distinct.set(task.blob.digest, task);
    else if (same.diffId !== task.diffId) {
      throw new VarveError("DIFFID_MISMATCH", `layer ${task.blob.digest} is listed twice, with two DiffIDs`);
    }
  }
  return [...distinct.values()];
}

/** The results in the manifest's order; of a repeated layer only the first counts as moved. */
export function inOrder(tasks: readonly LayerTask[], results: readonly LayerResult[]): LayerResult[] {
  const byDigest = new Map(results.map((result) => [result.digest, result]));
  const seen = new Set<Digest>();
  return tasks.flatMap(({ blob: { digest } }) => {
    const result = byDigest.get(digest);
    if (result === undefined) return [];
    const repeated = seen.has(digest);
    seen.add(digest);
    return [repeated ? { ...result, how: "present" as const, bytes: noBytes(), requests: 0, fallbacks: [] } : result];
  });
}
