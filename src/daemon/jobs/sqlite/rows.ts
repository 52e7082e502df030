/** Rows of jobs.db as jobs. */
import type { Row } from "../../../store/connection.ts";
import type { Job, JobKind, JobState } from "../types.ts";

/** The job of a row. What stands in it was checked when it was written, and the file is this user's own. */
export function jobOf(row: Row): Job {
  return {
    id: String(row["id"]),
    kind: row["kind"] as JobKind,
    input: json(row["input"]) as Job["input"],
    state: row["state"] as JobState,
    attempts: Number(row["attempts"]),
    createdAt: new Date(Number(row["created_at"])).toISOString(),
    startedAt: time(row["started_at"]),
    endedAt: time(row["ended_at"]),
    worker: row["worker"] === null ? null : String(row["worker"]),
    result: json(row["result"]) as Job["result"],
    error: json(row["error"]) as Job["error"],
  };
}

function json(value: Row[string] | undefined): unknown {
  return typeof value === "string" ? JSON.parse(value) : null;
}

function time(value: Row[string] | undefined): string | null {
  return typeof value === "number" ? new Date(value).toISOString() : null;
}
