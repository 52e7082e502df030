/**
 * What shall happen to a process at which of its steps. A step is one call that changes a file, a name or the database; they are counted
 * by {@link file://./preload.ts} in the process itself, so that a moment is a place in the work and not a time on a clock.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Rng } from "../../kit/images/rng.ts";

export type StepAct =
  /** The process is killed. A write that it is about to make is made in part. */
  | { readonly kind: "kill"; readonly tear: number }
  /** The file system that `path` is on stops as in a power cut, then the process is killed. */
  | { readonly kind: "power"; readonly path: string; readonly logFlush: boolean }
  /** `ballast` takes all space that is left but for `slack` bytes. */
  | { readonly kind: "fill"; readonly ballast: string; readonly slack: number };

/**
 * `calls` of Node's own functions, most of which end a piece of work; `native` are foreign calls, of which an unpacked layer takes
 * thousands. Drawn from both together, a moment would hardly ever be one of the first.
 */
export type StepKind = "calls" | "native";

export interface Moment {
  readonly of: StepKind;
  /** From 1. */
  readonly at: number;
  readonly act: StepAct;
}

export interface StepPlan {
  /** Where the numbers of steps are written when the process ends by itself. */
  readonly countTo: string;
  readonly moment?: Moment | undefined;
}

export type StepCounts = Readonly<Record<StepKind, number>>;

export const STEP_PLAN = "FAULT_STEP_PLAN";

const PRELOAD = fileURLToPath(new URL("preload.ts", import.meta.url));

/** The environment of a process that shall follow the plan. */
export function stepEnvironment(plan: StepPlan): Record<string, string> {
  return { NODE_OPTIONS: `--import=${PRELOAD}`, [STEP_PLAN]: JSON.stringify(plan) };
}

export function countFile(dir: string): string {
  return join(dir, `steps-${randomUUID()}`);
}

/** How many steps the process took; undefined when it did not come to its end. */
export function readCount(path: string): StepCounts | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as StepCounts;
  } catch {
    return undefined;
  }
}

/** A moment in a process that takes so many steps. */
export function drawMoment(counts: StepCounts, rng: Rng, act: StepAct): Moment {
  const of = counts.native > 0 && rng.chance(NATIVE_SHARE) ? "native" : "calls";
  return { of, at: rng.between(1, counts[of]), act };
}

const NATIVE_SHARE = 0.4;
