/** Whether deltas may be of use to a pull at all, found out without a request and without loading what uses them. */
import type { Digest } from "../../../oci/digest.ts";
import { isLayerType } from "../../../oci/media-types.ts";
import type { Store } from "../../../store/store.ts";

/** Records of layers that are looked at: a store of machines' disks has many of their chunks. */
const MOST_RECORDS = 1000;

/** Whether layers of other images are here, or were: a first pull, and one that goes on with a first pull, has no use for deltas. */
export async function holdsOthers({ layers }: Store, own: ReadonlySet<Digest>): Promise<boolean> {
  let seen = 0;
  for await (const { diffId, mediaType } of layers.list()) {
    if (isLayerType(mediaType) && !own.has(diffId)) return true;
    if (++seen === MOST_RECORDS) return true;
  }
  return false;
}
