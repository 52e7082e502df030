/** The tar of a layer that is held as one, by EROFS: a file in the layer's folder. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { FILES } from "../layer/index-facts.ts";
import type { Digest } from "../oci/digest.ts";
import { StoreLayout } from "../store/layout.ts";
import type { Store } from "../store/store.ts";

/** Undefined when the layer is not held so. Whoever reads it checks its digest. */
export async function heldTar(
  store: Pick<Store, "root">,
  diffId: Digest,
): Promise<{ path: string; size: number } | undefined> {
  const path = join(new StoreLayout(store.root).layer(diffId), FILES.tar);
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true ? { path, size: found.size } : undefined;
}
