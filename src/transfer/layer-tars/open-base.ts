/** The base of a delta between images: the tars of all its layers as one. */
import { concatTars, type TarsAsOne } from "../../layer/seekable/concat-tars.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import type { Digest } from "../../oci/digest.ts";
import type { LayerTars } from "../deltas/types.ts";
import { inParallel } from "../in-parallel.ts";

/** Layers that are inflated at the same time. */
const AT_ONCE = 4;

/** @param diffIds bottom to top @throws VarveError as `LayerTars.open` */
export async function openBase(
  tars: Pick<LayerTars, "open">,
  diffIds: readonly Digest[],
  signal?: AbortSignal,
): Promise<TarsAsOne> {
  await using opening = new AsyncDisposableStack();
  // Each once: images have layers several times, and what claims to be one a thousand times.
  const opened = new Map<Digest, SeekableTar>();
  await inParallel([...new Set(diffIds)], AT_ONCE, async (diffId) => {
    opened.set(diffId, opening.use(await tars.open(diffId, signal)));
  });
  opening.move();
  return concatTars(diffIds.flatMap((diffId) => opened.get(diffId) ?? []));
}
