/** Threads that compare images. One has the index of a librsync delta's base, which is most of the memory, and ends with it. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { Base } from "../codec/librsync/base.ts";
import type {
  BaseIndex,
  CompareOptions,
  DeltaThreads,
  ComparedTar,
  RawDelta,
  WrittenTarDiff,
} from "../delta/image/threads.ts";
import { VarveError } from "../errors/varve-error.ts";
import { shareMallocArena } from "../sys/malloc-arenas.ts";
import { stopYoungGrowth, YOUNG_LIMIT } from "../sys/young-generation.ts";
import type { DeltaJob, DeltaMade, FarTar, FilePart, FromDeltaThread, ToDeltaThread } from "./delta-messages.ts";
import { fromPlainError, toPlainError } from "./plain-error.ts";
import { threadEnvironment } from "./thread-environment.ts";

const THREAD_FILE = new URL(
  import.meta.url.endsWith(".ts") ? "./delta-thread.ts" : "./delta-thread.js",
  import.meta.url,
);
/** More want more memory than they are worth. */
const MOST_LANES = 4;

export class DeltaPool implements DeltaThreads, AsyncDisposable {
  readonly lanes = Math.min(availableParallelism(), MOST_LANES);
  readonly #threads = new Set<DeltaThread>();

  constructor() {
    shareMallocArena();
    stopYoungGrowth();
  }

  async index(base: ComparedTar, options: CompareOptions): Promise<BaseIndex> {
    const thread = this.#start(options.signal);
    try {
      await thread.run({ kind: "index", base: thread.lend(base) }, options);
    } catch (error) {
      await this.#stop(thread);
      throw error;
    }
    return {
      async write(target, output, given) {
        using lent = thread.lend(target);
        const made = await thread.run({ kind: "write", target: lent, output }, given);
        return made as RawDelta;
      },
      [Symbol.asyncDispose]: () => this.#stop(thread),
    };
  }

  async tarDiff(
    from: ComparedTar,
    target: ComparedTar,
    output: number,
    options: CompareOptions,
  ): Promise<WrittenTarDiff> {
    const thread = this.#start(options.signal);
    try {
      const job = { kind: "tar-diff", from: thread.lend(from), target: thread.lend(target), output } as const;
      return (await thread.run(job, options)) as WrittenTarDiff;
    } finally {
      // A layer takes so long that a thread is worth it, and its memory is given back with it.
      await this.#stop(thread);
    }
  }

  #start(signal: AbortSignal): DeltaThread {
    signal.throwIfAborted();
    const thread = new DeltaThread();
    this.#threads.add(thread);
    return thread;
  }

  async #stop(thread: DeltaThread): Promise<void> {
    this.#threads.delete(thread);
    await thread.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.stop()));
  }
}

interface Running {
  readonly onProgress: (done: number) => void;
  readonly settled: PromiseWithResolvers<DeltaMade>;
}

/** More are a tree's, which threads are not told of one by one. */
const MOST_FILES = 1000;

function filesOf(tar: ComparedTar): FilePart[] | undefined {
  const files: FilePart[] = [];
  for (const part of tar.parts?.(0, tar.size) ?? []) {
    if (part.kind !== "file" || files.length === MOST_FILES) return undefined;
    files.push(part);
  }
  return tar.parts === undefined ? undefined : files;
}

class DeltaThread {
  readonly #worker = new Worker(THREAD_FILE, { env: threadEnvironment(), resourceLimits: YOUNG_LIMIT });
  readonly #tars = new Map<number, Base>();
  readonly #running = new Map<number, Running>();
  #nextNumber = 0;
  #ended: Error | undefined;

  constructor() {
    this.#worker.on("message", (message: FromDeltaThread) => this.#hear(message));
    this.#worker.on("error", (error: Error) => this.#end(error));
    this.#worker.on("exit", () => this.#end(new VarveError("INTERNAL", "a thread that compares ended early")));
    this.#worker.unref();
  }

  /** The thread may read the tar until this is disposed of. (Messages leave out what has a symbol for a name.) */
  lend(tar: ComparedTar): FarTar & Disposable {
    const numbers: number[] = [];
    const far = this.#lend(tar, numbers);
    return { ...far, [Symbol.dispose]: () => numbers.forEach((number) => this.#tars.delete(number)) };
  }

  #lend(tar: ComparedTar, numbers: number[]): FarTar {
    const number = this.#nextNumber++;
    const { size } = tar;
    if (tar.tars !== undefined) return { number, size, tars: tar.tars.map((one) => this.#lend(one, numbers)) };
    const files = filesOf(tar);
    if (files !== undefined) return { number, size, files };
    numbers.push(number);
    this.#tars.set(number, tar);
    return { number, size };
  }

  /** Settles when the thread has let go of all that it was given, however it ends. */
  async run(job: DeltaJob, { signal, onProgress }: CompareOptions): Promise<DeltaMade> {
    signal.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#nextNumber++;
    const settled = Promise.withResolvers<DeltaMade>();
    this.#running.set(id, { onProgress, settled });
    const cancel = (): void => this.#send({ type: "cancel", id });
    signal.addEventListener("abort", cancel, { once: true });
    this.#worker.ref();
    try {
      this.#send({ type: "start", id, job });
      return await settled.promise;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#running.delete(id);
      if (this.#running.size === 0) this.#worker.unref();
    }
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #send(message: ToDeltaThread, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #hear(message: FromDeltaThread): void {
    if (message.type === "read") return void this.#read(message);
    const running = this.#running.get(message.id);
    if (message.type === "progress") running?.onProgress(message.done);
    else if (message.type === "done") running?.settled.resolve(message.made);
    else running?.settled.reject(fromPlainError(message.error));
  }

  async #read({ read, tar, position, length }: Extract<FromDeltaThread, { type: "read" }>): Promise<void> {
    try {
      const open = this.#tars.get(tar);
      if (open === undefined) throw new VarveError("INTERNAL", "a tar was read that is not open any more");
      const bytes = new Uint8Array(length);
      await open.read(bytes, position);
      this.#send({ type: "bytes", read, bytes }, [bytes.buffer]);
    } catch (error) {
      this.#send({ type: "unread", read, error: toPlainError(error) });
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { settled } of this.#running.values()) settled.reject(this.#ended);
  }
}
