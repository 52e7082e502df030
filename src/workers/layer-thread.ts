/**
 * The thread's side: a shell over `checkLayer` and `tarStreamOf`. Several jobs may run in one thread; they interleave at
 * their reads, so a layer that waits for the network holds no other up.
 */
import { parentPort } from "node:worker_threads";
import { VarveError } from "../errors/varve-error.ts";
import { checkLayer } from "../layer/check-layer.ts";
import { readFrontFile } from "../layer/in-process.ts";
import { tarStreamOf } from "../layer/tar-stream.ts";
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
function readJob(job: Job, { front, abort }: Running): AsyncIterable<Uint8Array> {
  const file: FrontFile = {
    path: job.path,
    size: job.size,
    get front() {
      return front.value;
    },
    waitFront: (position) => front.passed(position, abort.signal),
  };
  return readFrontFile(file, abort.signal);
}

async function sendTar(id: number, job: Job, state: Running): Promise<void> {
  const { signal } = state.abort;
  const stream = tarStreamOf(readJob(job, state), { algorithm: job.algorithm, signal });
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

async function run(id: number, job: Job, state: Running): Promise<void> {
  try {
    if (job.kind === "open") return await sendTar(id, job, state);
    const { signal } = state.abort;
    send({ type: "checked", id, result: await checkLayer(readJob(job, state), { algorithm: job.algorithm, signal }) });
  } catch (error) {
    send({ type: "failed", id, error: toPlainError(error) });
  } finally {
    running.delete(id);
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
