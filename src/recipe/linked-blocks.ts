/**
 * Streams of linked blocks (Apple LZ4, formats "tart" §3) that are taken up in their midst: what was made before is their decoder's history, and
 * the borders that are noted on the way are where the next try can take them up.
 */
import type { BlockBorder } from "../codec/apple-lz4/decoder.ts";
import { WINDOW_BYTES } from "../codec/lz4/sizes.ts";
import type { DecoderCheckpoints } from "../store/disks/types.ts";
import type { Ingest } from "../store/types.ts";
import type { Part, Task } from "./gather.ts";
import type { Work } from "./work.ts";

/** An ingest that may want to know where decoding can be taken up again. */
export type ResumableIngest = Ingest & { readonly checkpoints?: Pick<DecoderCheckpoints, "note"> };

/** Decoded bytes between two borders that are noted: what is decoded again after an interruption, at most. */
export const BORDER_BYTES = 8 << 20;

/** Whether the task begins with blocks that refer to what is before them in the target. */
export function isLinked({ parts }: Task): boolean {
  return linkedPart(parts) !== undefined;
}

/** Whether what the task's first blocks refer to is in place. */
export function hasHistory({ parts }: Task, work: Work): boolean {
  const part = linkedPart(parts);
  return part === undefined || work.done().has(historyStart(part), part.position);
}

/** The same, once it is known whether that holds which an earlier try left. */
export async function findHistory(task: Task, work: Work): Promise<boolean> {
  const part = linkedPart(task.parts);
  if (part !== undefined) await work.checkedWithin(historyStart(part), part.position);
  return hasHistory(task, work);
}

/** What the first block of the parts refers to; undefined where it refers to nothing. It must be in place. */
export async function historyOf(parts: readonly Part[], { ingest }: Work): Promise<Uint8Array | undefined> {
  const part = linkedPart(parts);
  if (part === undefined || part.position === 0) return undefined;
  const start = historyStart(part);
  return ingest.read(start, part.position - start);
}

/**
 * Told of borders of the first frames of a task, which count from their start, it notes one in 8 MiB, as it lies in blob and target. Undefined where
 * nobody wants them, or where the target is not what the blob holds from its start on.
 */
export function borderNotes(parts: readonly Part[], { ingest }: Work): ((border: BlockBorder) => void) | undefined {
  const { checkpoints } = ingest;
  const { segment, position } = parts[0]!;
  if (checkpoints === undefined || segment.kind !== "frames" || segment.codec !== "apple-lz4") return undefined;
  const isWhole = position === 0 && segment.start === 0 && (segment.skip ?? 0) === 0;
  if (!isWhole && segment.linked !== true) return undefined;
  let next = BORDER_BYTES;
  return ({ encoded, decoded }) => {
    if (decoded < next || decoded >= segment.size) return;
    next = decoded + BORDER_BYTES;
    checkpoints.note({ encoded: segment.start + encoded, decoded: position + decoded });
  };
}

function linkedPart([first]: readonly Part[]): Part | undefined {
  return first?.segment.kind === "frames" && first.segment.linked === true ? first : undefined;
}

function historyStart({ position }: Part): number {
  return Math.max(0, position - WINDOW_BYTES);
}
