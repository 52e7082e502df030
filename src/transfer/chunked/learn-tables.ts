/**
 * Layers that came whole and are held unpacked: nobody has looked at their tables of contents yet, but those lie in their blobs, and tell what
 * would have to be hashed and cut else (docs/architecture.md, "What this machine holds"). They are read when a planner asks first, the images
 * that changed last first, and remembered, so that each is read once. A table that lies costs a fetch, as all that is remembered does.
 */
import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { isVarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { BlobSource } from "../../registry/blob-source.ts";
import { KNOWN_FILE } from "../../store/local-sources/known-file.ts";
import type { HeldLayer } from "../../store/local-sources/held-layer.ts";
import type { LocalSources } from "../../store/local-sources/types.ts";
import type { Store } from "../../store/store.ts";
import { reachable } from "../../store/unreferenced.ts";
import { readTocAnnotations } from "../toc-annotations.ts";
import { mayBeChunked } from "./may-be-chunked.ts";

/** Of blobs' bytes that are read for one pull: some 250,000 files. What is left is read for the next one. */
const MOST_BYTES = 32 << 20;

export interface LearnOptions {
  readonly store: Pick<Store, "images" | "layers" | "content">;
  readonly sources: Pick<LocalSources, "record">;
  readonly held: readonly HeldLayer[];
  readonly signal: AbortSignal;
}

/** @throws the signal's reason; VarveError as the store's database */
export async function learnTables({ store, sources, held, signal }: LearnOptions): Promise<void> {
  const unknown = new Set(
    held.flatMap(({ diffId, folder }) =>
      diffId === undefined || existsSync(join(folder, KNOWN_FILE)) ? [] : [diffId],
    ),
  );
  if (unknown.size === 0) return;
  let room = MOST_BYTES;
  for await (const { blob, diffId } of chunkedLayers(store)) {
    signal.throwIfAborted();
    if (!unknown.delete(diffId)) continue;
    room -= await learn(blob, diffId, { store, sources, room, signal });
    if (room <= 0 || unknown.size === 0) return;
  }
}

interface HeldBlob {
  readonly blob: Descriptor;
  /** As it was found when the blob was unpacked. */
  readonly diffId: Digest;
}

async function* chunkedLayers({ images, layers, content }: LearnOptions["store"]): AsyncGenerator<HeldBlob> {
  const records = (await images.list()).toSorted((a, b) => b.updatedAt.getTime() - a.updatedAt.getTime());
  for (const image of records) {
    for (const blob of (await reachable(content, [image.manifest, image.descriptor])).values()) {
      if (!mayBeChunked(blob)) continue;
      const record = await layers.get(blob.digest);
      if (record !== undefined && (await content.stat(blob.digest)) !== undefined) {
        yield { blob, diffId: record.diffId };
      }
    }
  }
}

/** @returns bytes that were read */
async function learn(
  blob: Descriptor,
  diffId: Digest,
  { store, sources, room, signal }: Omit<LearnOptions, "held"> & { readonly room: number },
): Promise<number> {
  const read = { bytes: 0 };
  try {
    const annotations = readTocAnnotations(blob);
    if (annotations === undefined || (annotations.dialect !== "estargz" && annotations.toc.compressed > room)) return 0;
    const { fetchToc } = await import("../fetch-toc.ts");
    const path = store.content.pathOf(blob.digest);
    const { pieces } = await fetchToc({ blob, diffId }, annotations, { blobs: heldBlob(path, read), signal });
    await sources.record(diffId, pieces);
  } catch (error) {
    signal.throwIfAborted();
    // A table that is damaged, or too large, or a blob that goes meanwhile: content is hashed then.
    if (!isVarveError(error) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  }
  return read.bytes;
}

function heldBlob(path: string, read: { bytes: number }): BlobSource {
  return {
    async *readBlob(_blob, { range, signal } = {}) {
      const part = range === undefined ? {} : { start: range.start, end: range.end - 1 };
      for await (const chunk of createReadStream(path, { ...part, highWaterMark: 1 << 20, signal })) {
        read.bytes += (chunk as Uint8Array).length;
        yield chunk as Uint8Array;
      }
    },
  };
}
