/** Taking a whole file over as a blob. The caller holds the digest's lock; the order of the steps is that of ingest-folder.ts. */
import { constants } from "node:fs";
import { mkdir, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { digestAlgorithm, type Digest } from "../oci/digest.ts";
import { syncNames } from "./durable.ts";
import type { StepHook } from "./ingest-place.ts";
import type { StoreLayout } from "./layout.ts";

/** @returns how large it is */
export async function adoptFile(
  layout: StoreLayout,
  digest: Digest,
  file: string,
  { sync, step }: { readonly sync: boolean; readonly step: StepHook },
): Promise<number> {
  const path = layout.blob(digest);
  {
    await using handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
    await handle.chmod(0o444);
    if (sync) await handle.sync();
  }
  step("synced");
  const made = await mkdir(dirname(path), { recursive: true });
  await rename(file, path);
  step("renamed");
  if (sync) {
    await syncNames(layout.blobDirectory(digestAlgorithm(digest)));
    if (made !== undefined) await syncNames(layout.blobs);
  }
  step("names-synced");
  return (await stat(path)).size;
}
