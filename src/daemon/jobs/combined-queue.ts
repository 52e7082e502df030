/** Two queues as one: deltas in a shared queue, all else in that of this store. */
import { checkSharedDelta } from "./job-input.ts";
import type { Claim, Job, JobKind, JobKinds, JobQueue, ListOptions } from "./types.ts";

const DEFAULT_LIST = 100;

export class CombinedQueue implements JobQueue {
  readonly #local: JobQueue;
  readonly #shared: JobQueue;

  constructor(local: JobQueue, shared: JobQueue) {
    this.#local = local;
    this.#shared = shared;
  }

  async add<Kind extends JobKind>(kind: Kind, input: JobKinds[Kind]["input"]): Promise<Job<Kind>> {
    if (kind !== "delta") return this.#local.add(kind, input);
    return (await this.#shared.add("delta", checkSharedDelta(input))) as Job<Kind>;
  }

  async get(id: string): Promise<Job | undefined> {
    return (await this.#local.get(id)) ?? this.#shared.get(id);
  }

  /** Without the shared ones while their server is away, unless it is only deltas that were asked for. */
  async list(options: ListOptions = {}): Promise<readonly Job[]> {
    const { kind, limit = DEFAULT_LIST } = options;
    if (kind === "delta") return this.#shared.list(options);
    const local = await this.#local.list(options);
    if (kind !== undefined) return local;
    const shared = await this.#shared.list(options).catch(() => []);
    const newest = [...local, ...shared].toSorted((a, b) => b.createdAt.localeCompare(a.createdAt));
    return newest.slice(0, limit);
  }

  async cancel(id: string): Promise<Job | undefined> {
    return (await this.#local.cancel(id)) ?? this.#shared.cancel(id);
  }

  claim(kinds: readonly JobKind[], signal: AbortSignal): Promise<Claim> {
    if (!kinds.includes("delta")) return this.#local.claim(kinds, signal);
    if (kinds.length === 1) return this.#shared.claim(kinds, signal);
    throw new TypeError("deltas are claimed by themselves, for they are in a queue of their own");
  }

  /** Of both, where the shared one can be asked. */
  async depth(): Promise<{ readonly queued: number; readonly running: number }> {
    const local = await this.#local.depth();
    const shared = await this.#shared.depth().catch(() => ({ queued: 0, running: 0 }));
    return { queued: local.queued + shared.queued, running: local.running + shared.running };
  }

  onChange(listener: (id: string) => void): () => void {
    const offs = [this.#local.onChange(listener), this.#shared.onChange(listener)];
    return () => {
      for (const off of offs) off();
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#local[Symbol.asyncDispose](), this.#shared[Symbol.asyncDispose]()]);
  }
}
