/**
 * The thread's side: a shell over `checkLayer`, `tarStreamOf` and `unpackFile`. Several jobs may run in one thread; they interleave at
 * their reads, so a layer that waits for the network holds no other up.
 */
import { parentPort } from "node:worker_threads";
import { VarveError } from "../errors/varve-error.ts";
import { checkLayer } from "../layer/check-layer.ts";
import { unpackFile } from "../layer/in-process.ts";
import { readFrontFile } from "../layer/read-front-file.ts";
import { tarStreamOf, type TarStreamOptions } from "../layer/tar-stream.ts";
import type { LayerTarget } from "../layer/layer-target.ts";
import type { FrontFile } from "../layer/threads.ts";
import type { FromThread, Job, ToThread } from "./messages.ts";
import { toPlainError } from "./plain-error.ts";
import { Rising } from "./rising.ts";

if (parentPort === null) throw new VarveError("INTERNAL", "the layer thread is not a program of its own");
const port = parentPort;

interface Running {
  readonly abort: AbortController;
  readonly front: Rising;
  readonly credit: Rising;
}

const running = new Map<number, Running>();

function send(message: FromThread, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

/** The job's file as the thread sees it: its front is what the messages tell. */
function fileOf(job: Job, { front, abort }: Running, onHungry?: (position: number) => void): FrontFile {
  return {
    path: job.path,
    size: job.size,
    get front() {
      return front.value;
    },
    waitFront(position) {
      if (front.value <= position) onHungry?.(position);
      return front.passed(position, abort.signal);
    },
  };
}

function readJob(job: Job, state: Running): AsyncIterable<Uint8Array> {
  return readFrontFile(fileOf(job, state), state.abort.signal);
}

function streamOptions({ algorithm, decompressor, isTar = false, vouched }: Job): Omit<TarStreamOptions, "signal"> {
  return { algorithm, decompressor, isTar, ...(vouched !== undefined && { vouched }) };
}

async function sendTar(id: number, job: Job, state: Running): Promise<void> {
  const { signal } = state.abort;
  const stream = tarStreamOf(readJob(job, state), { ...streamOptions(job), size: job.size, signal });
  let sent = 0;
  for await (const chunk of stream) {
    await state.credit.passed(sent, signal);
    sent += chunk.length;
    const whole = chunk.byteLength === chunk.buffer.byteLength && chunk.buffer instanceof ArrayBuffer;
    const bytes = whole ? (chunk as Uint8Array<ArrayBuffer>) : new Uint8Array(chunk);
    send({ type: "chunk", id, bytes }, [bytes.buffer]);
  }
  send({ type: "opened", id, diffId: stream.diffId });
}

/** Progress is told once in so many bytes: a display shows no more. */
const PROGRESS_STEP = 4 << 20;

function workOptions(id: number, job: Job, { abort }: Running): TarStreamOptions & { onProgress(done: number): void } {
  let told = 0;
  return {
    ...streamOptions(job),
    signal: abort.signal,
    onProgress(done) {
      if (done - told < PROGRESS_STEP) return;
      told = done;
      send({ type: "progress", id, done });
    },
  };
}

/** A job that takes turns says when it has nothing left to read. */
function hungryFile(id: number, job: Job, state: Running): FrontFile {
  return fileOf(job, state, (position) => send({ type: "hungry", id, position }));
}

async function unpack(id: number, job: Job, target: LayerTarget, state: Running): Promise<void> {
  const result = await unpackFile(hungryFile(id, job, state), target, workOptions(id, job, state));
  send({ type: "unpacked", id, result });
}

async function recompress(
  id: number,
  job: Job,
  { output, ...how }: NonNullable<Job["recompress"]>,
  state: Running,
): Promise<void> {
  // Imported here, because most threads never need it.
  const { recompressFile } = await import("../layer/recompress-layer.ts");
  const options = { ...workOptions(id, job, state), ...how };
  send({ type: "recompressed", id, result: await recompressFile(hungryFile(id, job, state), output, options) });
}

async function run(id: number, job: Job, state: Running): Promise<void> {
  try {
    if (job.kind === "open") return await sendTar(id, job, state);
    if (job.target !== undefined) return await unpack(id, job, job.target, state);
    if (job.recompress !== undefined) return await recompress(id, job, job.recompress, state);
    const options = { ...streamOptions(job), signal: state.abort.signal };
    send({ type: "checked", id, result: await checkLayer(readJob(job, state), options) });
  } catch (error) {
    send({ type: "failed", id, error: toPlainError(error) });
  } finally {
    running.delete(id);
    // Who read ahead for it waits for nothing any more.
    state.abort.abort();
  }
}

port.on("message", (message: ToThread) => {
  switch (message.type) {
    case "start": {
      const { job, id } = message;
      const state = { abort: new AbortController(), front: new Rising(job.front), credit: new Rising(job.credit) };
      running.set(id, state);
      void run(id, job, state);
      break;
    }
    case "front":
      running.get(message.id)?.front.raise(message.front);
      break;
    case "credit":
      running.get(message.id)?.credit.raise(message.total);
      break;
    case "cancel":
      running.get(message.id)?.abort.abort();
      break;
  }
});
