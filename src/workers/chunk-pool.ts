/** Threads that encode chunks of disks. Each is started when a chunk comes that no other has time for. */
import { availableParallelism } from "node:os";
import { MessageChannel, Worker } from "node:worker_threads";
import type { PlannedChunk } from "../disk/import/chunk-plan.ts";
import type { EncodeChunkOptions, EncodedChunk } from "../disk/import/encode-chunk.ts";
import type { ChunkEncoders } from "../disk/import/encoders.ts";
import { VarveError } from "../errors/varve-error.ts";
import { YOUNG_LIMIT } from "../sys/young-generation.ts";
import type { ChunkJob, ChunkNews } from "./chunk-thread.ts";
import { fromPlainError } from "./plain-error.ts";
import { threadEnvironment } from "./thread-environment.ts";

const THREAD_FILE = new URL(
  import.meta.url.endsWith(".ts") ? "./chunk-thread.ts" : "./chunk-thread.js",
  import.meta.url,
);
/** Disks give no more at once. */
const MOST_THREADS = 4;

export class ChunkPool implements ChunkEncoders, AsyncDisposable {
  readonly lanes: number;
  readonly #threads: ChunkThread[] = [];

  /** @param threads default: one per core, four at most */
  constructor(threads = Math.min(availableParallelism(), MOST_THREADS)) {
    this.lanes = threads;
  }

  async encode(disk: number, chunk: PlannedChunk, options: EncodeChunkOptions = {}): Promise<EncodedChunk> {
    options.signal?.throwIfAborted();
    return this.#pick().encode(disk, chunk, options);
  }

  #pick(): ChunkThread {
    const [first, ...others] = this.#threads.toSorted((a, b) => a.load - b.load);
    if (first !== undefined && (first.load === 0 || others.length + 1 >= this.lanes)) return first;
    const thread = new ChunkThread();
    this.#threads.push(thread);
    return thread;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.stop()));
  }
}

class ChunkThread {
  readonly #worker = new Worker(THREAD_FILE, { env: threadEnvironment(), resourceLimits: YOUNG_LIMIT });
  /** Rejects when the thread has ended, whatever for. */
  readonly #ended: Promise<never>;
  load = 0;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    this.#ended = promise;
    this.#ended.catch(() => undefined);
    this.#worker.on("error", reject);
    this.#worker.on("exit", () => reject(new VarveError("INTERNAL", "a thread that encodes chunks ended early")));
    this.#worker.unref();
  }

  async encode(
    disk: number,
    chunk: PlannedChunk,
    { signal, onProgress, ...options }: EncodeChunkOptions,
  ): Promise<EncodedChunk> {
    const { port1: own, port2: port } = new MessageChannel();
    const { promise, resolve, reject } = Promise.withResolvers<EncodedChunk>();
    own.on("message", (news: ChunkNews) => {
      if (news.type === "progress") onProgress?.(news.done);
      else if (news.type === "encoded") resolve(news.blob);
      else reject(fromPlainError(news.error));
    });
    const stop = (): void => own.postMessage("stop");
    signal?.addEventListener("abort", stop, { once: true });
    this.load++;
    try {
      const job: ChunkJob = { disk, chunk, options, port };
      this.#worker.postMessage(job, [port]);
      return await Promise.race([promise, this.#ended]);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      this.load--;
      signal?.removeEventListener("abort", stop);
      own.close();
    }
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
