/** A delta that a client of balena's engine waits for: a job of the queue as any other, which ends when the client goes away. */
import { VarveError } from "../../../errors/varve-error.ts";
import type { Digest } from "../../../oci/digest.ts";
import { parseReference, type Reference } from "../../../oci/reference.ts";
import type { DeltaCreated } from "../../../transfer/deltas/create-types.ts";
import { findImage } from "../../../transfer/find-image.ts";
import { inspectImage } from "../../../transfer/images.ts";
import type { Job } from "../../jobs/types.ts";
import type { ApiParts } from "../call.ts";
import { heldWord } from "../held-word.ts";
import { DeltaMessages, type BalenaMessage } from "./messages.ts";

export interface DeltaQuery {
  readonly src: string;
  readonly dest: string;
  /** `NAME:TAG`; empty is none. */
  readonly t?: string;
}

export interface DeltaWork {
  readonly job: Job<"delta">;
  readonly tag: Reference | undefined;
  /** DiffIDs of the target. */
  readonly layers: readonly Digest[];
}

/** @throws VarveError `IMAGE_NOT_FOUND`, `REFERENCE_INVALID`, `QUEUE_FULL` ...: nothing was begun then */
export async function addDelta(
  { daemon, jobs }: ApiParts,
  { src, dest, t = "" }: DeltaQuery,
  signal: AbortSignal,
): Promise<DeltaWork> {
  const tag = t === "" ? undefined : parseReference(t);
  if (tag?.digest !== undefined) {
    throw new VarveError("REFERENCE_INVALID", "refusing to create a tag with a digest reference", {
      hint: "give NAME:TAG",
    });
  }
  const context = await daemon.context({ signal, onProgress: () => undefined });
  for (const word of [src, dest]) await findImage(context.store, heldWord(word)).catch(asEngineSaysIt(word));
  const { layers } = await inspectImage(context, dest);
  const job = await jobs.queue.add("delta", { base: src, target: dest, ...(tag !== undefined && { tag: t }) });
  return { job, tag, layers: layers.flatMap(({ diffId }) => diffId ?? []) };
}

function asEngineSaysIt(word: string) {
  return (error: unknown): never => {
    if (!(error instanceof VarveError) || error.code !== "IMAGE_NOT_FOUND") throw error;
    throw new VarveError("IMAGE_NOT_FOUND", `no such image: ${word}`, { hint: error.hint, cause: error });
  };
}

/** What becomes of the job, to its end. @throws VarveError what the job failed with; `INTERRUPTED` when it was cancelled */
export async function* followDelta(
  { jobs }: ApiParts,
  { job, tag, layers }: DeltaWork,
  source: string,
  signal: AbortSignal,
): AsyncGenerator<BalenaMessage, DeltaCreated, undefined> {
  const messages = new DeltaMessages(source, layers);
  // Of one who is too far behind the feed lets go; it tells all anew then.
  while (!signal.aborted) {
    for await (const event of jobs.feed.subscribe(job.id, signal)) {
      if (event.type === "progress") {
        if (event.event.type === "delta") yield* messages.tell(event.event);
        continue;
      }
      const result = resultOf(event.job as Job<"delta">);
      if (result === undefined) continue;
      yield* messages.end(result, tag);
      return result;
    }
  }
  throw signal.reason;
}

/** Undefined as long as it is at work. */
function resultOf({ id, state, result, error }: Job<"delta">): DeltaCreated | undefined {
  if (state === "done" && result !== null) return result;
  if (state === "cancelled") throw new VarveError("INTERRUPTED", `the job ${id} was cancelled`);
  if (error !== null && state === "failed") throw new VarveError(error.code, error.message, { hint: error.hint });
  return undefined;
}
