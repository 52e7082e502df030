/** The thread's side of {@link ChunkPool}: each job comes with a port of its own, over which it is told of and can be stopped. */
import { parentPort, type MessagePort } from "node:worker_threads";
import type { PlannedChunk } from "../disk/import/chunk-plan.ts";
import { encodeChunk, type EncodeChunkOptions, type EncodedChunk } from "../disk/import/encode-chunk.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { PlainError } from "./messages.ts";
import { toPlainError } from "./plain-error.ts";

/** Descriptors of files are the process's, so threads share them. */
export interface ChunkJob {
  readonly disk: number;
  readonly chunk: PlannedChunk;
  readonly options: Omit<EncodeChunkOptions, "signal" | "onProgress">;
  readonly port: MessagePort;
}

export type ChunkNews =
  | { readonly type: "progress"; readonly done: number }
  | { readonly type: "encoded"; readonly blob: EncodedChunk }
  | { readonly type: "failed"; readonly error: PlainError };

if (parentPort === null) throw new VarveError("INTERNAL", "the chunk thread is not a program of its own");

/** Progress is told once in so many bytes: a display shows no more. */
const PROGRESS_STEP = 4 << 20;

parentPort.on("message", ({ disk, chunk, options, port }: ChunkJob) => {
  const stop = new AbortController();
  const tell = (news: ChunkNews): void => port.postMessage(news);
  port.once("message", () => stop.abort());
  let told = 0;
  const onProgress = (done: number): void => {
    if (done - told < PROGRESS_STEP && done < chunk.size) return;
    told = done;
    tell({ type: "progress", done });
  };
  encodeChunk(disk, chunk, { ...options, signal: stop.signal, onProgress })
    .then(
      (blob) => tell({ type: "encoded", blob }),
      (error: unknown) => tell({ type: "failed", error: toPlainError(error) }),
    )
    .finally(() => port.close());
});
