/** The faults that schedules are made of, and the errors that they lead to when they do not go away. */
import type { ErrorCode } from "../../../src/errors/table.ts";
import type { Rng } from "../../kit/images/rng.ts";
import type { Fault } from "../../kit/faults/fault.ts";

export interface FaultKind {
  readonly name: string;
  /** It spoils a body, so that it means nothing to an answer without one. */
  readonly ofBody: boolean;
  /** @param size of the body that it strikes. @param at where in it, 0 ... 1 */
  readonly make: (size: number, at: number) => readonly Fault[];
  /** So many may strike the same body, one after the other, and the image arrives all the same. Infinity when each lets bytes through. */
  readonly survives: number;
  /** The same for a document, which is never gone on with, and is asked for once more when it is not what it should be. */
  readonly ofDocument: number;
  /** Whether bytes get through each time is up to the kernel. */
  readonly byLuck?: true;
  /** What it ends in when it strikes more often. */
  readonly codes: readonly ErrorCode[];
}

const NETWORK = ["REGISTRY_UNREACHABLE", "REGISTRY_UNAVAILABLE", "REGISTRY_TIMEOUT", "REGISTRY_PROTOCOL"] as const;
const WRONG = ["DIGEST_MISMATCH", "SIZE_MISMATCH", "REGISTRY_PROTOCOL"] as const;

/** As many further attempts without progress as the client makes. */
const RETRIES = 5;

const body = (
  name: string,
  make: FaultKind["make"],
  survives: number,
  codes: readonly ErrorCode[] = NETWORK,
  ofDocument = codes === NETWORK ? RETRIES : 1,
): FaultKind => ({ name, ofBody: true, make, survives, codes, ofDocument });

const answer = (name: string, fault: Fault, survives: number, codes: readonly ErrorCode[]): FaultKind => ({
  name,
  ofBody: false,
  make: () => [fault],
  survives,
  codes,
  ofDocument: survives,
});

const inside = (size: number, at: number): number =>
  Math.min(Math.max(0, size - 1), Math.max(1, Math.floor(size * at)));

export const FAULT_KINDS: readonly FaultKind[] = [
  body("closes before the first byte", () => [{ kind: "drop", afterBytes: 0 }], RETRIES),
  body("closes", (size, at) => [{ kind: "drop", afterBytes: inside(size, at) }], Infinity),
  body("closes before the last byte", (size) => [{ kind: "drop", afterBytes: Math.max(0, size - 1) }], Infinity),
  {
    ...body("is reset", (size, at) => [{ kind: "drop", afterBytes: inside(size, at), how: "reset" }], RETRIES),
    byLuck: true,
  },
  body("stalls", (size, at) => [{ kind: "stall", afterBytes: inside(size, at) }], Infinity),
  body("is truncated", (size, at) => [{ kind: "truncate", toBytes: inside(size, at) }], 1, [...WRONG, ...NETWORK]),
  body(
    "is truncated in chunked coding",
    (size, at) => [{ kind: "truncate", toBytes: inside(size, at) }, { kind: "chunked" }],
    Infinity,
    [...WRONG, ...NETWORK],
  ),
  body("is in chunked coding", () => [{ kind: "chunked" }], Infinity, [], Infinity),
  body("has a wrong first bit", () => [{ kind: "flip", atByte: 0 }], 1, WRONG),
  body("has a wrong bit", (size, at) => [{ kind: "flip", atByte: inside(size, at) }], 1, WRONG),
  body("has a wrong last bit", (size) => [{ kind: "flip", atByte: Math.max(0, size - 1) }], 1, WRONG),
  body("is too long", () => [{ kind: "append", bytes: 1000 }], 1, WRONG),
  body(
    "is too long, in chunked coding",
    () => [{ kind: "append", bytes: 1000 }, { kind: "chunked" }],
    Infinity,
    WRONG,
    1,
  ),
  body("is slow", () => [{ kind: "slow", bytesPerSecond: 50_000_000 }], Infinity, [], Infinity),
  answer("comes late", { kind: "latency", ms: 30 }, Infinity, []),
  answer("is 500", { kind: "status", status: 500 }, RETRIES, NETWORK),
  answer("is 502", { kind: "status", status: 502 }, RETRIES, NETWORK),
  answer("is 503 with Retry-After", { kind: "status", status: 503, retryAfter: 20 }, RETRIES, NETWORK),
  answer("is 429 with Retry-After", { kind: "status", status: 429, retryAfter: 60 }, RETRIES, [
    "REGISTRY_RATE_LIMITED",
  ]),
  answer("is 408", { kind: "status", status: 408 }, RETRIES, NETWORK),
  answer("is a reset", { kind: "reset" }, RETRIES, NETWORK),
  answer("is nonsense", { kind: "garbage" }, RETRIES, NETWORK),
  answer("is lost", { kind: "loseAnswer" }, RETRIES, NETWORK),
  answer("is 404", { kind: "status", status: 404 }, 0, ["BLOB_UNKNOWN", "MANIFEST_UNKNOWN"]),
  answer("is 401", { kind: "status", status: 401 }, 0, ["UNAUTHORIZED", "REGISTRY_PROTOCOL"]),
  answer("is 403", { kind: "status", status: 403 }, 0, ["DENIED"]),
  answer("is 418", { kind: "status", status: 418 }, 0, ["REGISTRY_PROTOCOL", "REGISTRY_UNAVAILABLE"]),
];

/** Faults that only a request for a range can meet. */
export const RANGE_KINDS: readonly FaultKind[] = [
  answer("is the whole blob", { kind: "ignoreRange" }, Infinity, []),
  answer("is 416", { kind: "status", status: 416 }, Infinity, []),
  answer("is 501", { kind: "status", status: 501 }, Infinity, []),
  answer("lies about its range", { kind: "contentRange", value: "bytes 3-9/10" }, 1, [
    ...WRONG,
    ...NETWORK,
    "RANGE_UNSUPPORTED",
  ]),
];

/** A fault that leaves a chance, as lines have them. */
export function randomKind(rng: Rng): FaultKind {
  const final = FAULT_KINDS.filter(({ survives }) => survives === 0);
  if (rng.chance(0.02)) return rng.pick(final);
  return rng.pick(FAULT_KINDS.filter(({ survives }) => survives > 0));
}
