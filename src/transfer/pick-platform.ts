/** Which manifest of an index is meant, and what to say when none is. */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Index } from "../oci/manifest.ts";
import { choosePlatform, formatPlatform, type Platform } from "../oci/platform.ts";

/** Documents from the root down: deeper nesting of indexes is an attack or a mistake. */
export const MAX_INDEX_DEPTH = 4;

/** @throws VarveError `PLATFORM_NOT_FOUND`, which lists those there are */
export function pickPlatform(index: Index, wanted: Platform, name: string): Descriptor {
  const chosen = choosePlatform(index.manifests, wanted);
  if (chosen !== undefined) return chosen;
  const there = index.manifests.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  const known = [...new Set(there)].filter((platform) => !platform.startsWith("unknown/"));
  throw new VarveError(
    "PLATFORM_NOT_FOUND",
    `${name} has nothing for ${formatPlatform(wanted)}`,
    known.length === 0
      ? { hint: "the index lists no platforms; pull one of its manifests by digest" }
      : { hint: `it has ${known.join(", ")}; choose one with --platform`, detail: { platforms: known } },
  );
}
