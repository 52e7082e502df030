/** `LayerThreads` without threads: the same work in the caller's own, for programs that want no threads and for tests. */
import { availableParallelism } from "node:os";
import { checkLayer, type LayerCheck } from "./check-layer.ts";
import { readFrontFile } from "./read-front-file.ts";
import { tarStreamOf, type TarStream, type TarStreamOptions } from "./tar-stream.ts";
import type { LayerTarget, UnpackedLayer } from "./layer-target.ts";
import type { FrontFile, LayerThreads, UnpackLayerOptions } from "./threads.ts";
import { inTurns, Turns } from "./turns.ts";
import { wholeFile } from "./whole-file.ts";

/** @param unpackJobs layers that are unpacked at the same time. Default: one per core, for inflating has threads of its own */
export function inOneThread(unpackJobs: number = availableParallelism()): LayerThreads {
  const turns = new Turns(unpackJobs);
  return {
    check: (file: FrontFile, options: TarStreamOptions): Promise<LayerCheck> =>
      checkLayer(readFrontFile(file, options.signal), options),
    unpack: (file, target, options): Promise<UnpackedLayer> =>
      workInTurns(turns, file, options.signal, (own, signal) => unpackFile(own, target, { ...options, signal })),
    recompress: (file, output, options) =>
      workInTurns(turns, file, options.signal, async (own, signal) => {
        const { recompressFile } = await import("./recompress-layer.ts");
        return recompressFile(own, output, { ...options, signal });
      }),
    open: (blob, options): TarStream =>
      tarStreamOf(readFrontFile(wholeFile(blob), options.signal), {
        ...options,
        signal: options.signal,
        size: blob.size,
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export const inProcess: LayerThreads = inOneThread();

async function workInTurns<Result>(
  turns: Turns,
  file: FrontFile,
  given: AbortSignal,
  work: (own: FrontFile, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  using member = turns.join();
  // Those who read ahead for it, and for nobody once it is over.
  const ended = new AbortController();
  const signal = AbortSignal.any([given, ended.signal]);
  const own = inTurns(file, member, signal);
  try {
    // Also for a file without a byte, which nobody would wait for.
    await own.waitFront(0, signal);
    return await work(own, signal);
  } finally {
    ended.abort();
  }
}

/** What a thread does of `LayerThreads.unpack`. */
export async function unpackFile(
  file: FrontFile,
  target: LayerTarget,
  options: UnpackLayerOptions,
): Promise<UnpackedLayer> {
  const { signal, algorithm = "sha256", onProgress } = options;
  signal.throwIfAborted();
  const { unpackLayer } = await import("./unpack-layer.ts");
  const tar = tarStreamOf(readFrontFile(file, signal), { ...options, size: file.size });
  return unpackLayer(tar, target, { algorithm, signal, ...(onProgress !== undefined && { onBytes: onProgress }) });
}
