/** Whose virtual machine a manifest is, by its media types alone (formats "tart" §1 and §6): cheap enough to be asked of any image. */
import type { Manifest } from "../../oci/manifest.ts";
import type { DiskImage } from "./disk-image.ts";
import { isEarlyLume } from "./early-lume.ts";
import { LUME_TYPES, TART_TYPES, VETU_TYPES } from "./names.ts";

/** Undefined when it is another kind of image. Nothing says yet that the manifest is in order. */
export function formatOf(manifest: Manifest): DiskImage["format"] | undefined {
  const has = (...types: string[]): boolean => manifest.layers.some(({ mediaType }) => types.includes(mediaType));
  if (has(TART_TYPES.config, TART_TYPES.disk, TART_TYPES.diskV1)) return "tart";
  if (has(VETU_TYPES.config, VETU_TYPES.disk)) return "vetu";
  if (has(LUME_TYPES.disk) || manifest.config.mediaType === LUME_TYPES.config) return "lume";
  return isEarlyLume(manifest) ? "lume" : undefined;
}
