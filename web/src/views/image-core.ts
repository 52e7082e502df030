/** An image of the store as the page has it, with its layers from the lowest up. */
import { daemon, inTurns } from "../api/daemon.ts";
import { ApiError } from "../api/request.ts";
import type { ImageRow, Stratum } from "../api/types.ts";
import type { CoreLayer } from "../model/kinship.ts";

export type ImageLayer = CoreLayer & Stratum;

export interface ImageCore {
  readonly name: string;
  readonly row: ImageRow;
  readonly layers: readonly ImageLayer[];
}

/** Whose layers were asked for, by digest: those never change, only with whom they are shared. */
export async function readCores(signal: AbortSignal): Promise<ImageCore[]> {
  const rows = await daemon.images(signal);
  const cores = await inTurns(rows, async (row): Promise<ImageCore | undefined> => {
    try {
      const { layers } = await daemon.strata(row.name, signal);
      return { name: row.name, row, layers: layers.map(keyed) };
    } catch (error) {
      // It was removed in between.
      if (error instanceof ApiError && error.code === "IMAGE_NOT_FOUND") return undefined;
      throw error;
    }
  });
  return cores.filter((core) => core !== undefined);
}

/** Content that is compressed otherwise is the same content. */
export function keyed(stratum: Stratum): ImageLayer {
  return { ...stratum, key: stratum.diffId ?? stratum.digest };
}
