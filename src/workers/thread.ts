/** A thread of the pool as its owner sees it: jobs are started in it by number, and each hears what becomes of it, also when the thread dies. */
import { Worker } from "node:worker_threads";
import { VarveError } from "../errors/varve-error.ts";
import { YOUNG_LIMIT } from "../sys/young-generation.ts";
import type { FromThread, Job, ToThread } from "./messages.ts";
import { threadEnvironment } from "./thread-environment.ts";

const THREAD_FILE = new URL(
  import.meta.url.endsWith(".ts") ? "./layer-thread.ts" : "./layer-thread.js",
  import.meta.url,
);

/** What a job hears of its thread. */
export type ThreadEvent = FromThread | { readonly type: "died"; readonly error: Error };

type Listener = (event: ThreadEvent) => void;

/** One thread and the jobs it has. */
export class Thread {
  readonly #worker: Worker;
  readonly #listeners = new Map<number, Listener>();
  #died = false;

  constructor() {
    this.#worker = new Worker(THREAD_FILE, { env: threadEnvironment(), resourceLimits: YOUNG_LIMIT });
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
    this.#died = true;
    await this.#worker.terminate();
  }

  #die(error: Error): void {
    this.#died = true;
    for (const listener of this.#listeners.values()) listener({ type: "died", error });
  }
}
