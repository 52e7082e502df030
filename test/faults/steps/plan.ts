/**
 * What shall happen to a process at which of its steps. A step is one call that changes a file, a name or the database; they are counted
 * by {@link file://./preload.ts} in the process itself, so that a moment is a place in the work and not a time on a clock.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export type StepAct =
  /** The process is killed. A write that it is about to make is made in part. */
  | { readonly kind: "kill"; readonly tear: number }
  /** The file system that `path` is on stops as in a power cut, then the process is killed. */
  | { readonly kind: "power"; readonly path: string; readonly logFlush: boolean }
  /** `ballast` takes all space that is left but for `slack` bytes. */
  | { readonly kind: "fill"; readonly ballast: string; readonly slack: number };

export interface StepPlan {
  /** Where the number of steps is written when the process ends by itself. */
  readonly countTo: string;
  /** From 1. */
  readonly at?: number;
  readonly act?: StepAct;
}

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
export function readCount(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
