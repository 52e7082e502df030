/** A process that makes a chunk in a window of a store's disk, and says `stalled` when no more of its blob comes. */
import { planContent } from "../../../src/plan/disk-content.ts";
import { assemble } from "../../../src/recipe/assembler.ts";
import { openStore } from "../../../src/store/store.ts";
import { MemoryBlobs } from "../recipe/memory-blobs.ts";
import { openPartialDisk } from "../store/open-window.ts";
import { longChunk } from "./long-chunk.ts";

export interface ChunkJob {
  readonly root: string;
  readonly mebibytes: number;
  readonly offset: number;
  /** Place in the blob where it stalls. */
  readonly cut: number;
}

/** Of the disk that the chunk is in; it is no key of anything. */
export const DISK_BYTES = 64 << 20;

if (process.argv[1] === import.meta.filename) {
  const { root, mebibytes, offset, cut } = JSON.parse(process.argv[2]!) as ChunkJob;
  const { stream, chunk } = longChunk(mebibytes, offset);
  const stalled = Promise.withResolvers<never>();
  const blobs = new MemoryBlobs({
    onChunk: (_, at) => {
      if (at < cut) return undefined;
      console.log("stalled");
      setInterval(() => {}, 1000);
      return stalled.promise;
    },
  });
  blobs.add(stream);
  const store = await openStore(root, { sync: false, checkpointBytes: 1 << 20 });
  const disk = await openPartialDisk(store, chunk.digest, DISK_BYTES);
  const window = await disk.window(chunk, { blob: chunk.blob.digest });
  const { recipe } = planContent(chunk, { held: window.resumed, checkpoints: window.checkpoints });
  await assemble(recipe, { ingest: window, blobs });
}
