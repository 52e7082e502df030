/** An ingest of a blob that must not be there yet. */
import type { IngestOptions } from "../../../src/store/content.ts";
import type { Store } from "../../../src/store/store.ts";
import type { Ingest } from "../../../src/store/types.ts";
import type { Sample } from "./sample.ts";

export async function openIngest(
  store: Store,
  blob: Pick<Sample, "digest" | "size">,
  options?: IngestOptions,
): Promise<Ingest> {
  const ingest = await store.content.ingest(blob, options);
  if ("commit" in ingest) return ingest;
  throw new Error(`${blob.digest} is there already`);
}
