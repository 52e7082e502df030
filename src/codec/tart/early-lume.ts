/**
 * How layers of early versions of lume are known (formats "tart" §6), apart from what reads them: every pull asks whether an image is a machine's.
 */
import type { Manifest } from "../../oci/manifest.ts";
import { LUME_TYPES } from "./names.ts";
import { parseCount } from "./parse-count.ts";

/** Whether layers without types of their own are a disk as early versions of lume wrote it. */
export function isEarlyLume({ layers }: Manifest): boolean {
  return layers.some(({ mediaType }) => mediaType === LUME_TYPES.earlyChunk || partNumber(mediaType) !== undefined);
}

/** `application/octet-stream+lzfse;part.number=1;part.total=38` */
export function partNumber(mediaType: string): { readonly number: number; readonly total: number } | undefined {
  if (!mediaType.startsWith(`${LUME_TYPES.earlyPart};`)) return undefined;
  const number = parseCount(/;part\.number=([0-9]+)/.exec(mediaType)?.[1]);
  const total = parseCount(/;part\.total=([0-9]+)/.exec(mediaType)?.[1]);
  return number === undefined || total === undefined ? undefined : { number, total };
}
