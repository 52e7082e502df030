/**
 * Schedules for the disks of machines: each fault at a chunk that is got whole and at one that is gone on with; and for an update by the index of the
 * chunks, at that index and at the pieces. A pull may always get what it wants another way.
 */
import type { ErrorCode } from "../../../src/errors/table.ts";
import type { FaultRule } from "../../kit/faults/fault-script.ts";
import type { MachineImages, PublishedMachine } from "../lib/machine-images.ts";
import { FAULT_KINDS, RANGE_KINDS, type FaultKind } from "./catalogue.ts";
import { blobPath, type Schedule } from "./schedule.ts";

/** What shall strike within a piece or a chunk's index has to strike early. */
const PIECE_BYTES = 8000;

interface Target {
  readonly name: string;
  readonly rule: Pick<FaultRule, "path" | "ranged">;
  readonly size: number;
}

export function machineSchedules(images: MachineImages): Schedule[] {
  return [...firstPulls(images.machine), ...updates(images)];
}

function firstPulls(image: PublishedMachine): Schedule[] {
  const { digest, size } = image.layers.toSorted((a, b) => b.size - a.size)[0]!;
  const path = blobPath(digest);
  const chunk: Target = { name: "a chunk", rule: { path }, size };
  const rest: Target = { name: "the rest of a chunk", rule: { path, ranged: true }, size: Math.floor(size / 2) };
  const broken: FaultRule = { path, method: "GET", nth: 1, fault: { kind: "drop", afterBytes: Math.floor(size / 3) } };
  return [
    ...schedules(image, chunk, FAULT_KINDS),
    ...schedules(image, rest, [...FAULT_KINDS, ...RANGE_KINDS], { before: [broken] }),
  ];
}

function updates({ machine, machineUpdate }: MachineImages): Schedule[] {
  const chunks = machineUpdate.layers.map(({ digest }) => digest);
  const documents = [...machineUpdate.machine.blobs].filter(
    (digest) => digest !== machineUpdate.config && digest !== machineUpdate.digest && !chunks.includes(digest),
  );
  const anyOf = (digests: readonly string[]): RegExp => new RegExp(`/(blobs|manifests)/(${digests.join("|")})$`);
  const index: Target = { name: "the index", rule: { path: anyOf(documents) }, size: PIECE_BYTES / 8 };
  const piece: Target = { name: "a piece", rule: { path: anyOf(chunks), ranged: true }, size: PIECE_BYTES };
  return [
    ...schedules(machineUpdate, index, FAULT_KINDS, { held: machine }),
    ...schedules(machineUpdate, piece, [...FAULT_KINDS, ...RANGE_KINDS], { held: machine }),
  ];
}

function schedules(
  image: PublishedMachine,
  { name, rule, size }: Target,
  kinds: readonly FaultKind[],
  { before = [], ...given }: { readonly before?: readonly FaultRule[]; readonly held?: PublishedMachine } = {},
): Schedule[] {
  return kinds.flatMap((kind) =>
    ([false, true] as const).flatMap((lasting): Schedule[] => {
      // Each stall is waited for.
      if (kind.name === "stalls" && lasting) return [];
      const fault: FaultRule = { ...rule, method: "GET", fault: kind.make(size, 0.4), ...(!lasting && { nth: 1 }) };
      return [
        {
          title: `${name} ${kind.name}, ${lasting ? "each time" : "once"}`,
          image,
          ...given,
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

/** What is wrong in a chunk may show while it is decoded. */
function codesOf({ codes }: FaultKind): readonly ErrorCode[] {
  return codes.includes("DIGEST_MISMATCH") ? [...codes, "COMPRESSION_INVALID"] : codes;
}
