/** Rows of a shared queue as jobs. Whoever may write to the database has written them, so what makes no sense is none. */
import { ERROR_TABLE, type ErrorCode } from "../../../errors/table.ts";
import { checkJobInput, isJobKind } from "../job-input.ts";
import { abandoned } from "../retries.ts";
import type { Job, JobKind, JobState } from "../types.ts";
import type { Row } from "./connection.ts";

const STATES: Readonly<Record<string, JobState>> = {
  created: "queued",
  retry: "queued",
  active: "running",
  completed: "done",
  failed: "failed",
  cancelled: "cancelled",
};

/** pg-boss' states of one of ours; all of them without one. */
export function bossStates(state: JobState | undefined): readonly string[] {
  return Object.keys(STATES).filter((name) => state === undefined || STATES[name] === state);
}

/** @throws VarveError as `checkJobInput`, for rows whose job is none */
export function readJob(row: Row): Job {
  const { name, state: bossState, data, output } = row;
  const kind: JobKind = isJobKind(name) ? name : "delta";
  const state = STATES[String(bossState)] ?? "failed";
  const { worker, result, error } = fieldsOf(output);
  const attempts = attemptsOf(row);
  return {
    id: String(row["id"]),
    kind,
    input: checkJobInput(kind, data),
    state,
    attempts,
    createdAt: time(row["created_on"]) ?? new Date(0).toISOString(),
    startedAt: time(row["started_on"]),
    endedAt: time(row["completed_on"]),
    worker: typeof worker === "string" ? worker.slice(0, 300) : null,
    result: state === "done" && typeof result === "object" ? (result as Job["result"]) : null,
    error: readError(error) ?? (state === "failed" ? abandoned(attempts) : null),
  };
}

/** The same, and nothing where there is no job in it. */
export function jobOf(row: Row): Job | undefined {
  try {
    return readJob(row);
  } catch {
    return undefined;
  }
}

/** pg-boss counts tries after the first. A job that was put back has none that has begun. */
function attemptsOf(row: Row): number {
  const retries = Number(row["retry_count"]);
  return row["started_on"] === null ? retries : retries + 1;
}

function readError(value: unknown): Job["error"] {
  const { code, message, hint } = fieldsOf(value);
  if (typeof code !== "string" || !Object.hasOwn(ERROR_TABLE, code)) return null;
  return { code: code as ErrorCode, message: String(message).slice(0, 4096), hint: String(hint).slice(0, 4096) };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function time(value: unknown): string | null {
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : null;
}
