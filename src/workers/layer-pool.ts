/**
 * The pool of threads behind `LayerThreads`. Threads start when first needed and end with the pool; a job goes to the
 * thread that has the fewest. Unpacking keeps its thread busy, so those jobs take turns, one per thread at a time (turns.ts).
 * Memory: each open stream is at most `AHEAD` bytes ahead of its consumer, and unpacking holds a few chunks.
 */
import { availableParallelism } from "node:os";
import type { Decompressor } from "../codec/decompressors.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { LayerCheck } from "../layer/check-layer.ts";
import type { RecompressedLayer, RecompressLayerOptions } from "../layer/recompress-layer.ts";
import type { LayerTarget, UnpackedLayer } from "../layer/layer-target.ts";
import { TarStream, type TarStreamOptions } from "../layer/tar-stream.ts";
import type { FrontFile, LayerThreads, UnpackLayerOptions } from "../layer/threads.ts";
import { inTurns, Turns } from "../layer/turns.ts";
import { shareMallocArena, trimMalloc } from "../sys/malloc-arenas.ts";
import { releaseBuffer } from "../sys/release-buffer.ts";
import { stopYoungGrowth } from "../sys/young-generation.ts";
import type { Job } from "./messages.ts";
import { fromPlainError } from "./plain-error.ts";
import { Thread, type ThreadEvent } from "./thread.ts";

/** Bytes of tar that a stream may be ahead of who reads it: enough to ride out a burst of small files. */
const AHEAD = 8 << 20;

/** Front messages are worth their cost only in steps like this. */
const FRONT_STEP = 256 << 10;

export interface LayerPoolOptions {
  /** Threads at most. Default: one per core, four at most; inflating is what they share out. As many as `unpackJobs` at least. */
  readonly threads?: number;
  /** Layers that are unpacked at the same time. Default: one per core, or `threads` where that is given. */
  readonly unpackJobs?: number;
  /** What inflates gzip where a job does not say. Default: the decoder that is built in. */
  readonly decompressor?: Decompressor;
}

export class LayerPool implements LayerThreads {
  readonly #threads: (Thread | undefined)[];
  readonly #turns: Turns;
  readonly #decompressor: Decompressor;
  readonly #closed = new AbortController();
  readonly #ending = new Set<Promise<void>>();
  #unpacking = 0;
  #nextId = 0;

  constructor(options: LayerPoolOptions = {}) {
    const { threads, unpackJobs = threads ?? availableParallelism(), decompressor = "builtin" } = options;
    const most = Math.max(threads ?? Math.min(availableParallelism(), 4), unpackJobs);
    this.#threads = Array.from({ length: most }, () => undefined);
    this.#turns = new Turns(unpackJobs);
    this.#decompressor = decompressor;
    shareMallocArena();
    stopYoungGrowth();
  }

  async check(file: FrontFile, options: TarStreamOptions): Promise<LayerCheck> {
    const { algorithm = "sha256", signal } = options;
    signal.throwIfAborted();
    const id = this.#nextId++;
    const thread = this.#pick();
    const { promise, resolve, reject } = Promise.withResolvers<LayerCheck>();
    const ended = new AbortController();
    const cancel = (): void => thread.send({ type: "cancel", id });
    const { path, size, front } = file;
    const tar = tarOptions(options);
    const job: Job = { kind: "check", path, size, front, algorithm, decompressor: "builtin", credit: 0, ...tar };
    thread.start(id, job, (message) => {
      if (message.type === "checked") resolve(message.result);
      else if (message.type === "failed") reject(fromPlainError(message.error));
      else if (message.type === "died") reject(message.error);
    });
    signal.addEventListener("abort", cancel, { once: true });
    const follow = forwardFront(file, AbortSignal.any([signal, ended.signal]), (position) =>
      thread.send({ type: "front", id, front: position }),
    ).catch((error: unknown) => {
      if (!ended.signal.aborted) {
        cancel();
        reject(error instanceof Error ? error : new VarveError("INTERNAL", String(error)));
      }
    });
    try {
      return await promise;
    } finally {
      ended.abort();
      signal.removeEventListener("abort", cancel);
      thread.end(id);
      await follow;
    }
  }

  async unpack(file: FrontFile, target: LayerTarget, options: UnpackLayerOptions): Promise<UnpackedLayer> {
    const job = { kind: "unpack", target } as const;
    const unpacked = await this.#inTurn(file, job, options, (message) =>
      message.type === "unpacked" ? message.result : undefined,
    );
    options.onProgress?.(unpacked.size);
    return unpacked;
  }

  async recompress(file: FrontFile, output: number, options: RecompressLayerOptions): Promise<RecompressedLayer> {
    const { compression, level } = options;
    const job = { kind: "recompress", recompress: { compression, level, output } } as const;
    const made = await this.#inTurn(file, job, options, (message) =>
      message.type === "recompressed" ? message.result : undefined,
    );
    options.onProgress?.(made.uncompressedSize);
    return made;
  }

  /** A job that keeps its thread busy. It settles when the thread has let go of all that the job was given, however it ends. */
  async #inTurn<Result>(
    file: FrontFile,
    what: Pick<Job, "kind" | "target" | "recompress">,
    options: UnpackLayerOptions,
    resultOf: (message: ThreadEvent) => Result | undefined,
  ): Promise<Result> {
    const { algorithm = "sha256", decompressor = this.#decompressor, signal, onProgress } = options;
    const tar = tarOptions(options);
    signal.throwIfAborted();
    using member = this.#turns.join();
    using _counted = this.#count();
    const ended = new AbortController();
    const own = inTurns(file, member, AbortSignal.any([signal, ended.signal, this.#closed.signal]));
    // No thread is taken up before there is something to do for it.
    await own.waitFront(0);
    const id = this.#nextId++;
    const thread = this.#threadAt(member.place ?? 0);
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    let failure: unknown;
    const cancel = (): void => thread.send({ type: "cancel", id });
    const feed = async (position: number): Promise<void> => {
      try {
        await own.waitFront(position);
        thread.send({ type: "front", id, front: own.front });
      } catch (error) {
        failure ??= error;
        cancel();
      }
    };
    const { path, size } = file;
    const front = own.front;
    const job: Job = { ...what, path, size, front, algorithm, decompressor, credit: 0, ...tar };
    thread.start(id, job, (message) => {
      if (message.type === "hungry") void feed(message.position);
      else if (message.type === "progress") onProgress?.(message.done);
      else if (message.type === "failed") reject((failure as Error | undefined) ?? fromPlainError(message.error));
      else if (message.type === "died") reject(message.error);
      else {
        const result = resultOf(message);
        if (result !== undefined) resolve(result);
      }
    });
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await promise;
    } finally {
      ended.abort();
      signal.removeEventListener("abort", cancel);
      thread.end(id);
    }
  }

  open(blob: { readonly path: string; readonly size: number }, options: TarStreamOptions): TarStream {
    const { algorithm = "sha256", decompressor = "builtin", signal } = options;
    const tar = tarOptions(options);
    signal.throwIfAborted();
    const id = this.#nextId++;
    const thread = this.#pick();
    const queue = new ChunkQueue();
    const { path, size } = blob;
    const cancel = (): void => thread.send({ type: "cancel", id });
    const end = (): void => {
      signal.removeEventListener("abort", cancel);
      thread.end(id);
    };
    const job: Job = { kind: "open", path, size, front: size, algorithm, decompressor, credit: AHEAD, ...tar };
    thread.start(id, job, (message) => {
      queue.put(message);
      // Not left to the reader: one who gives up before he began is never heard of.
      if (message.type !== "chunk") end();
    });
    signal.addEventListener("abort", cancel, { once: true });
    return new TarStream(async function* (stream) {
      let taken = 0;
      try {
        for (;;) {
          const message = await queue.take();
          if (message.type === "opened") return stream.ended(message.diffId);
          if (message.type === "failed") throw fromPlainError(message.error);
          if (message.type === "died") throw message.error;
          if (message.type !== "chunk") continue;
          taken += message.bytes.length;
          yield message.bytes;
          releaseBuffer(message.bytes);
          thread.send({ type: "credit", id, total: taken + AHEAD });
        }
      } finally {
        cancel();
        end();
      }
    });
  }

  /**
   * Ends threads that have nothing to do when there are more of them than layers to be unpacked: what they would collect of their heaps only
   * with their next job is then there for those who bind the layers.
   */
  #endIdle(): void {
    const alive = this.#threads.filter((thread) => thread?.died === false);
    const idle = alive.filter((thread) => thread?.load === 0);
    for (const thread of idle.slice(0, Math.max(0, alive.length - this.#unpacking))) {
      const ending = thread!
        .stop()
        .then(trimMalloc)
        .finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
    }
  }

  /** A layer that is to be unpacked, until it is. */
  #count(): Disposable {
    this.#unpacking++;
    return {
      [Symbol.dispose]: () => {
        this.#unpacking--;
        trimMalloc();
        this.#endIdle();
      },
    };
  }

  #pick(): Thread {
    const alive = this.#threads.filter((thread) => thread?.died === false);
    const idle = alive.find((thread) => thread?.load === 0);
    if (idle !== undefined) return idle;
    const free = this.#threads.findIndex((thread) => thread?.died !== false);
    if (free >= 0) return this.#threadAt(free);
    return alive.reduce<Thread>((least, thread) => (thread!.load < least.load ? thread! : least), alive[0]!);
  }

  #threadAt(place: number): Thread {
    const there = this.#threads[place];
    if (there?.died === false) return there;
    const thread = new Thread();
    this.#threads[place] = thread;
    return thread;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new VarveError("INTERNAL", "the threads were ended"));
    await Promise.all([...this.#ending, ...this.#threads.flatMap((thread) => thread?.stop() ?? [])]);
  }
}

function tarOptions({ isTar, vouched }: TarStreamOptions): Pick<Job, "isTar" | "vouched"> {
  return { ...(isTar !== undefined && { isTar }), ...(vouched !== undefined && { vouched }) };
}

/** Tells the thread of the file's front as it moves, in steps, until the file is complete. */
async function forwardFront(file: FrontFile, signal: AbortSignal, tell: (front: number) => void): Promise<void> {
  let told = file.front;
  while (told < file.size) {
    await file.waitFront(Math.min(told + FRONT_STEP, file.size) - 1, signal);
    told = file.front;
    tell(told);
  }
}

/** Messages in the order they came; one taker. */
class ChunkQueue {
  readonly #messages: ThreadEvent[] = [];
  #wake: (() => void) | undefined;

  put(message: ThreadEvent): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  async take(): Promise<ThreadEvent> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}
