/** How often a job is tried, and after what failures. One table for all queues. */
import type { ErrorCode } from "../../errors/table.ts";

/** Claims of one job at most after which a failure is tried again. */
export const MAX_ATTEMPTS = 3;
/**
 * Claims of one job at most whose workers died. A machine may lose its power many times before a large image has come, each time with more of it
 * here; a job that brings its workers down has to end.
 */
export const MAX_DEATHS = 10;
/** Jobs that wait at most, so that nobody can fill the disk with them. */
export const MAX_QUEUED = 10_000;

/** Waits before it is tried again, by how often it was tried; the last one for all that follow. */
const DELAYS_MS = [5_000, 30_000, 120_000] as const;

/**
 * Failures that may be gone the next time. A transfer has tried each of its requests several times before it fails with one of these, so this
 * is for registries that are away for longer. A host that cannot be reached at all is mostly a wrong name, and the job fails at once.
 */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  "REGISTRY_UNAVAILABLE",
  "REGISTRY_TIMEOUT",
  "REGISTRY_RATE_LIMITED",
]);

export function isTransient(code: ErrorCode): boolean {
  return TRANSIENT.has(code);
}

/** @param attempts how often it was claimed so far */
export function retryDelayMs(attempts: number): number {
  return DELAYS_MS[Math.min(Math.max(attempts, 1), DELAYS_MS.length) - 1] ?? 0;
}

/** What a job failed with whose workers all died. */
export function abandoned(attempts: number): { code: ErrorCode; message: string; hint: string } {
  return {
    code: "JOB_ABANDONED",
    message: `it was tried ${attempts} times, and its worker ended each time without a word`,
    hint: "look for crashes and lack of memory where it was worked on",
  };
}
