/**
 * Schedules for pulls that make layers of deltas: each fault at a delta and at the documents around it, once and each time. Of a delta image that was
 * asked for by name it ends in the image or in an error; a plain pull may always get the layers another way.
 */
import type { ErrorCode } from "../../../src/errors/table.ts";
import type { FaultRule } from "../../kit/faults/fault-script.ts";
import type { DeltaImages } from "../lib/delta-images.ts";
import { FAULT_KINDS, RANGE_KINDS, type FaultKind } from "./catalogue.ts";
import { randomSchedule } from "./random.ts";
import type { Schedule } from "./schedule.ts";

interface Target {
  readonly name: string;
  readonly rule: Pick<FaultRule, "path" | "ranged">;
  readonly size: number;
}

/** Of what lists or describes deltas: what strikes within it has to strike early. */
const DOCUMENT_BYTES = 400;

/** Of what a delta's bytes may be when they are wrong in a way that shows before their digest does. */
const DAMAGED: readonly ErrorCode[] = ["COMPRESSION_INVALID", "DELTA_INVALID", "DELTA_BASE_DIFFERS", "DIFFID_MISMATCH"];

export function deltaSchedules(images: DeltaImages): Schedule[] {
  const { delta, deltaTarget } = images;
  const { digest, size } = delta.deltas!.toSorted((a, b) => b.size - a.size)[0]!;
  const path = new RegExp(`/blobs/${digest}$`);
  const blob: Target = { name: "the delta", rule: { path }, size };
  const rest: Target = { name: "the rest of the delta", rule: { path, ranged: true }, size: Math.floor(size / 2) };
  const broken: FaultRule = { path, method: "GET", nth: 1, fault: { kind: "drop", afterBytes: Math.floor(size / 3) } };
  const listed: Target = { name: "the list", rule: { path: /\/(referrers|manifests)\// }, size: DOCUMENT_BYTES };
  return [
    ...schedules(images, delta, blob, FAULT_KINDS),
    ...schedules(images, delta, rest, [...FAULT_KINDS, ...RANGE_KINDS], [broken]),
    ...schedules(images, deltaTarget, blob, FAULT_KINDS),
    ...schedules(images, deltaTarget, listed, FAULT_KINDS),
  ];
}

/** @param seed of this one schedule */
export function randomDelta({ delta, deltaTarget, deltaBase }: DeltaImages, seed: number): Schedule {
  const image = seed % 2 === 0 ? delta : deltaTarget;
  const drawn = randomSchedule(image, seed);
  return { ...drawn, held: deltaBase, codes: [...new Set([...drawn.codes, ...DAMAGED])] };
}

function schedules(
  { deltaBase: held }: DeltaImages,
  image: Schedule["image"],
  { name, rule, size }: Target,
  kinds: readonly FaultKind[],
  before: readonly FaultRule[] = [],
): Schedule[] {
  const how = image.tag === "delta" ? "by name" : "found";
  return kinds.flatMap((kind) =>
    ([false, true] as const).flatMap((lasting): Schedule[] => {
      // Each stall is waited for.
      if (kind.name === "stalls" && lasting) return [];
      const fault: FaultRule = { ...rule, method: "GET", fault: kind.make(size, 0.4), ...(!lasting && { nth: 1 }) };
      return [
        {
          title: `${name}, ${how}, ${kind.name}, ${lasting ? "each time" : "once"}`,
          image,
          held,
          rules: [...before, fault],
          seed: 1,
          concurrency: 4,
          threads: 0,
          mayArrive: true,
          codes: lasting || kind.survives === 0 ? codesOf(kind) : [],
        },
      ];
    }),
  );
}

function codesOf({ codes }: FaultKind): readonly ErrorCode[] {
  return codes.includes("DIGEST_MISMATCH") ? [...codes, ...DAMAGED] : codes;
}
