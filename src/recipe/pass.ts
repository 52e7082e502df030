/** One pass over a recipe: hands its tasks to slots as these come free, and leaves nothing under way when it ends. */
import { toVarveError } from "../errors/from-system.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { BlobSource } from "../registry/blob-source.ts";
import { AbortableIterator } from "./abortable-iterator.ts";
import { separateStretches, StreamedStretches } from "./blob-stretch.ts";
import { isFromBlob, type Task } from "./gather.ts";
import type { TransferBudget, TransferSlot } from "./limiter.ts";
import { findHistory, hasHistory, isLinked } from "./linked-blocks.ts";
import { LocalFiles } from "./local-files.ts";
import type { Recipe } from "./segment.ts";
import { runTask, type TaskContext } from "./task-runner.ts";
import { tasksOf } from "./tasks.ts";
import type { Work } from "./work.ts";

export interface PassOptions {
  readonly work: Work;
  readonly blobs: BlobSource;
  readonly budget: TransferBudget;
  readonly concurrency: number;
  readonly priority: number;
  /** Blobs whose host serves no ranges. With any of these, the pass goes through the recipe in order, in one slot. */
  readonly streamed: ReadonlySet<Digest>;
}

type Tasks = AbortableIterator<Task>;

/** @throws the first error of any task, once all have settled */
export async function runPass(recipe: Recipe, options: PassOptions): Promise<void> {
  const { work, blobs, streamed } = options;
  const pass = new Pass(work);
  const source = { blobs, signal: pass.signal, onEvent: work.onTransport, target: work.ingest.digest };
  await using files = new LocalFiles();
  const tasks = new AbortableIterator(tasksOf(recipe, work.here()), pass.signal);
  try {
    if (streamed.size === 0) {
      const context = { work, files, signal: pass.signal, open: separateStretches(source) };
      await inParallel(tasks, pass, context, options);
    } else {
      using streams = new StreamedStretches(source, streamed);
      await inOrder(tasks, { work, files, signal: pass.signal, open: streams.open }, options);
    }
  } catch (error) {
    pass.fail(error);
  } finally {
    tasks.close();
    await pass.settled();
    pass.leave();
  }
  if (pass.failure !== undefined) throw pass.failure;
}

async function inParallel(tasks: Tasks, pass: Pass, context: TaskContext, options: PassOptions): Promise<void> {
  const { budget, concurrency, priority } = options;
  for (let task = await tasks.next(); task !== undefined; task = await tasks.next()) {
    if (isLinked(task) && !(await canFollow(task, pass, context))) continue;
    await pass.below(concurrency);
    const slot = await budget.acquire({ signal: pass.signal, priority });
    pass.start(task, slot, context);
  }
  await pass.settled();
}

async function inOrder(tasks: Tasks, context: TaskContext, { budget, priority }: PassOptions): Promise<void> {
  using slot = await budget.acquire({ signal: context.signal, priority });
  for (let task = await tasks.next(); task !== undefined; task = await tasks.next()) {
    if (hasHistory(task, context.work)) await run(task, slot, context);
  }
}

/**
 * Waits for what is before the task, since its blocks refer to that. Where it turns out not to be here after all, the next pass makes it, and
 * comes to the task again.
 */
async function canFollow(task: Task, pass: Pass, { work }: TaskContext): Promise<boolean> {
  await pass.settled();
  return findHistory(task, work);
}

/** The tasks under way, and the switch that stops just them. */
class Pass {
  readonly #work: Work;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(work: Work) {
    this.#work = work;
    work.signal.addEventListener("abort", this.#onStop);
    if (work.signal.aborted) this.#onStop();
  }

  readonly #onStop = (): void => this.fail(this.#work.signal.reason);

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get failure(): VarveError | undefined {
    return this.#failure === undefined ? undefined : toVarveError(this.#failure.error, "carrying out a recipe");
  }

  /** Only the first error counts: the others come of stopping. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#stop.abort(error);
  }

  start(task: Task, slot: TransferSlot, context: TaskContext): void {
    const running = run(task, slot, context)
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        slot.release();
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  /** Settles when fewer than `count` tasks are under way. */
  async below(count: number): Promise<void> {
    while (this.#running.size >= Math.max(1, count)) await Promise.race(this.#running);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  leave(): void {
    this.#work.signal.removeEventListener("abort", this.#onStop);
  }
}

/** Runs a task, and adds the segment to an error of ranges, for whoever plans anew. */
async function run(task: Task, slot: TransferSlot, context: TaskContext): Promise<void> {
  try {
    await runTask(task, slot, context);
  } catch (error) {
    if (!isVarveError(error, "RANGE_UNSUPPORTED")) throw error;
    const { code, message, hint, detail } = error;
    const segment = (task.parts.find(isFromBlob) ?? task.parts[0])?.segment;
    throw new VarveError(code, message, { hint, cause: error, detail: { ...detail, segment } });
  }
}
