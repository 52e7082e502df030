/** The thread's side of {@link DeltaPool}: a shell over the comparisons of `inThisThread`. */
import { parentPort } from "node:worker_threads";
import type { Base } from "../codec/librsync/base.ts";
import { inThisThread } from "../delta/image/in-this-thread.ts";
import type { BaseIndex, CompareOptions } from "../delta/image/threads.ts";
import { VarveError } from "../errors/varve-error.ts";
import { releaseBuffer } from "../sys/release-buffer.ts";
import { FilesBase } from "./files-base.ts";
import { JoinedBase } from "./joined-base.ts";
import type { DeltaJob, DeltaMade, FarTar, FromDeltaThread, ToDeltaThread } from "./delta-messages.ts";
import { fromPlainError, toPlainError } from "./plain-error.ts";

if (parentPort === null) throw new VarveError("INTERNAL", "the delta thread is not a program of its own");
const port = parentPort;

/** Progress is told once in so many bytes: a display shows no more. */
const PROGRESS_STEP = 4 << 20;

const deltas = inThisThread();
/** Of the one base that this thread is for, once it is asked. */
let index: BaseIndex | undefined;
const running = new Map<number, AbortController>();
const reads = new Map<number, PromiseWithResolvers<Uint8Array>>();
let nextRead = 0;

function send(message: FromDeltaThread): void {
  port.postMessage(message);
}

/** The tar as this thread sees it. */
function tarOf({ number: tar, size, tars, files }: FarTar): Base & Disposable {
  if (tars !== undefined) return new JoinedBase(tars.map(tarOf));
  if (files !== undefined) return new FilesBase(files, size);
  return {
    size,
    async read(into, position) {
      const answer = Promise.withResolvers<Uint8Array>();
      const read = nextRead++;
      reads.set(read, answer);
      send({ type: "read", read, tar, position, length: into.length });
      const bytes = await answer.promise;
      into.set(bytes);
      releaseBuffer(bytes);
    },
    [Symbol.dispose]: () => undefined,
  };
}

async function run(job: DeltaJob, options: CompareOptions): Promise<DeltaMade> {
  switch (job.kind) {
    case "index":
      // It stays open as long as this thread is there.
      index = await deltas.index(tarOf(job.base), options);
      return undefined;
    case "write": {
      if (index === undefined) throw new VarveError("INTERNAL", "a delta of nothing was asked for");
      using target = tarOf(job.target);
      return await index.write(target, job.output, options);
    }
    case "tar-diff": {
      using from = tarOf(job.from);
      using target = tarOf(job.target);
      return await deltas.tarDiff(from, target, job.output, options);
    }
  }
}

async function start(id: number, job: DeltaJob): Promise<void> {
  const abort = new AbortController();
  running.set(id, abort);
  let told = 0;
  const onProgress = (done: number): void => {
    if (done - told < PROGRESS_STEP) return;
    told = done;
    send({ type: "progress", id, done });
  };
  try {
    send({ type: "done", id, made: await run(job, { signal: abort.signal, onProgress }) });
  } catch (error) {
    send({ type: "failed", id, error: toPlainError(error) });
  } finally {
    running.delete(id);
  }
}

port.on("message", (message: ToDeltaThread) => {
  switch (message.type) {
    case "start":
      void start(message.id, message.job);
      break;
    case "cancel":
      running.get(message.id)?.abort();
      break;
    case "bytes":
    case "unread": {
      const answer = reads.get(message.read);
      reads.delete(message.read);
      if (message.type === "bytes") answer?.resolve(message.bytes);
      else answer?.reject(fromPlainError(message.error));
      break;
    }
  }
});
