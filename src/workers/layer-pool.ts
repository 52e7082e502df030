/**
 * The pool of threads behind `LayerThreads`. Threads start when first needed and end with the pool; a job goes to the
 * thread that has the fewest. Memory: each open stream is at most `AHEAD` bytes ahead of its consumer.
 */
import { getCompileCacheDir } from "node:module";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import { VarveError } from "../errors/varve-error.ts";
import type { LayerCheck } from "../layer/check-layer.ts";
import { TarStream, type TarStreamOptions } from "../layer/tar-stream.ts";
import type { FrontFile, LayerThreads } from "../layer/threads.ts";
import { shareMallocArena } from "../sys/malloc-arenas.ts";
import { releaseBuffer } from "../sys/release-buffer.ts";
import type { FromThread, Job, ToThread } from "./messages.ts";
import { fromPlainError } from "./plain-error.ts";

/** Bytes of tar that a stream may be ahead of who reads it: enough to ride out a burst of small files. */
const AHEAD = 8 << 20;

/** Front messages are worth their cost only in steps like this. */
const FRONT_STEP = 256 << 10;

const THREAD_FILE = new URL(
  import.meta.url.endsWith(".ts") ? "./layer-thread.ts" : "./layer-thread.js",
  import.meta.url,
);

type Listener = (message: FromThread | { readonly type: "died"; readonly error: Error }) => void;

/** One thread and the jobs it has. */
class Thread {
  readonly #worker: Worker;
  readonly #listeners = new Map<number, Listener>();
  #died = false;

  constructor() {
    this.#worker = new Worker(THREAD_FILE, { env: threadEnvironment() });
    this.#worker.on("message", (message: FromThread) => this.#listeners.get(message.id)?.(message));
    this.#worker.on("error", (error: Error) => this.#die(error));
    this.#worker.on("exit", () => this.#die(new VarveError("INTERNAL", "a layer thread ended early")));
    this.#worker.unref();
  }

  get load(): number {
    return this.#listeners.size;
  }

  /** It takes no more jobs: messages to it would go nowhere. */
  get died(): boolean {
    return this.#died;
  }

  start(id: number, job: Job, listener: Listener): void {
    this.#listeners.set(id, listener);
    this.#worker.ref();
    this.send({ type: "start", id, job });
  }

  end(id: number): void {
    this.#listeners.delete(id);
    if (this.#listeners.size === 0) this.#worker.unref();
  }

  send(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #die(error: Error): void {
    this.#died = true;
    for (const listener of this.#listeners.values()) listener({ type: "died", error });
  }
}

/**
 * A thread shares the process's compile cache only when its environment says so. Without it, each one compiles all modules again,
 * in a checkout from TypeScript: 60 ms and 25 MB.
 */
function threadEnvironment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
}

export class LayerPool implements LayerThreads {
  readonly #size: number;
  #threads: Thread[] = [];
  #nextId = 0;

  /** `size` threads at most. Default: one per core, four at most; inflating is what they share out. */
  constructor(size: number = Math.min(availableParallelism(), 4)) {
    this.#size = size;
    shareMallocArena();
  }

  async check(file: FrontFile, { algorithm = "sha256", signal }: TarStreamOptions): Promise<LayerCheck> {
    signal.throwIfAborted();
    const id = this.#nextId++;
    const thread = this.#pick();
    const { promise, resolve, reject } = Promise.withResolvers<LayerCheck>();
    const ended = new AbortController();
    const cancel = (): void => thread.send({ type: "cancel", id });
    const { path, size, front } = file;
    thread.start(id, { kind: "check", path, size, front, algorithm, credit: 0 }, (message) => {
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

  open(
    blob: { readonly path: string; readonly size: number },
    { algorithm = "sha256", signal }: TarStreamOptions,
  ): TarStream {
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
    thread.start(id, { kind: "open", path, size, front: size, algorithm, credit: AHEAD }, (message) => {
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

  #pick(): Thread {
    this.#threads = this.#threads.filter((thread) => !thread.died);
    const idle = this.#threads.find((thread) => thread.load === 0);
    if (idle !== undefined) return idle;
    if (this.#threads.length < this.#size) {
      const thread = new Thread();
      this.#threads.push(thread);
      return thread;
    }
    return this.#threads.reduce((least, thread) => (thread.load < least.load ? thread : least));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.stop()));
  }
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
  readonly #messages: Parameters<Listener>[0][] = [];
  #wake: (() => void) | undefined;

  put(message: Parameters<Listener>[0]): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  async take(): Promise<Parameters<Listener>[0]> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}
