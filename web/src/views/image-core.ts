/** An image of the store as the page has it, with its layers from the lowest up. */
import { isVarveError } from "../../../src/errors/varve-error.ts";
import { allOf, daemon, inTurns } from "../api/daemon.ts";
import type { DeltaRow, ImageRow, Stratum } from "../api/types.ts";
import type { CoreLayer } from "../model/kinship.ts";

export type ImageLayer = CoreLayer & Stratum;

export interface ImageCore {
  readonly name: string;
  readonly row: ImageRow;
  readonly layers: readonly ImageLayer[];
}

export function allImages(signal: AbortSignal): Promise<ImageRow[]> {
  return allOf(async (part) => {
    const { images: rows, next } = await daemon.images.list({ ...part, signal });
    return { rows, next };
  });
}

export function allDeltas(signal: AbortSignal): Promise<DeltaRow[]> {
  return allOf(async (part) => {
    const { deltas: rows, next } = await daemon.deltas.list({ ...part, signal });
    return { rows, next };
  });
}

/** Images with their layers; deltas are images as well, and have a view of their own. */
export async function readCores(signal: AbortSignal): Promise<ImageCore[]> {
  const [all, deltas] = await Promise.all([allImages(signal), allDeltas(signal)]);
  const made = new Set(deltas.map(({ name }) => name));
  const rows = all.filter(({ name }) => !made.has(name));
  const cores = await inTurns(rows, async (row): Promise<ImageCore | undefined> => {
    try {
      const { layers } = await daemon.images.layers(row.name, { signal });
      return { name: row.name, row, layers: layers.map(keyed) };
    } catch (error) {
      // It was removed in between.
      if (isVarveError(error, "IMAGE_NOT_FOUND")) return undefined;
      throw error;
    }
  });
  return cores.filter((core) => core !== undefined);
}

/** Content that is compressed otherwise is the same content. */
export function keyed(stratum: Stratum): ImageLayer {
  return { ...stratum, key: stratum.diffId ?? stratum.digest };
}
