/** What encodes chunks, without knowing threads: in the caller's own thread, or in others; `workers/` has those. */
import type { PlannedChunk } from "./chunk-plan.ts";
import { encodeChunk, type EncodeChunkOptions, type EncodedChunk } from "./encode-chunk.ts";

export interface ChunkEncoders {
  /** Chunks that it is worth to have under way. */
  readonly lanes: number;
  /** As `encodeChunk`. */
  encode(disk: number, chunk: PlannedChunk, options?: EncodeChunkOptions): Promise<EncodedChunk>;
}

/** In the caller's thread. */
export const encodersHere: ChunkEncoders = {
  lanes: 1,
  encode: encodeChunk,
};
