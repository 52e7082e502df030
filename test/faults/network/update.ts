/**
 * Schedules for a pull that makes a layer of what is here and of pieces: each fault at the request for the table of contents and at those
 * for the pieces, once and each time. Most of it is a reason to get the layer another way, so the image may always arrive.
 */
import type { FaultRule } from "../../kit/faults/fault-script.ts";
import type { PublishedImage } from "../lib/published-image.ts";
import type { UpdateImages } from "../lib/update-images.ts";
import { FAULT_KINDS, RANGE_KINDS } from "./catalogue.ts";
import { randomSchedule } from "./random.ts";
import { blobPath, type Schedule } from "./schedule.ts";

/** Bodies are pieces: what shall strike within them has to strike early. */
const PIECE_BYTES = 60_000;

export function updateSchedules({ old, update }: UpdateImages): Schedule[] {
  const path = blobPath(layerOf(update).digest);
  return [1, 2].flatMap((first) =>
    [...FAULT_KINDS, ...RANGE_KINDS].flatMap((kind) =>
      ([false, true] as const).flatMap((lasting) => {
        // Each stall is waited for.
        if (kind.name === "stalls" && lasting) return [];
        const nth: FaultRule["nth"] = lasting ? { from: first } : first;
        const where = first === 1 ? "the table of contents" : "a piece";
        return [
          {
            title: `${where} ${kind.name}, ${lasting ? "each time" : "once"}`,
            held: old,
            image: update,
            // What only ranges meet shall not keep the blob from coming whole.
            rules: [
              {
                path,
                method: "GET",
                ...(RANGE_KINDS.includes(kind) && { ranged: true }),
                nth,
                fault: kind.make(PIECE_BYTES, 0.4),
              },
            ],
            seed: 1,
            concurrency: 4,
            threads: 0,
            mayArrive: true,
            codes: lasting || kind.survives === 0 ? kind.codes : [],
          },
        ];
      }),
    ),
  );
}

/** @param seed of this one schedule */
export function randomUpdate({ old, update }: UpdateImages, seed: number): Schedule {
  return { ...randomSchedule(update, seed), held: old };
}

/** The one that is chunked. */
function layerOf({ layers }: PublishedImage): PublishedImage["layers"][number] {
  return layers[0]!;
}
