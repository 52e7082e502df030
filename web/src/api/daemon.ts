/** The requests that the page makes, by what they are for. */
import { ask } from "./request.ts";
import type {
  DeltaInput,
  DeltaList,
  DeltaRow,
  DiskUsage,
  GcResult,
  ImageList,
  ImageRow,
  Job,
  JobList,
  PlanInput,
  PullInput,
  PullResult,
  RemoveResult,
  Strata,
  Version,
} from "./types.ts";

/** Of a list that comes in parts; what is beyond is too much to be drawn. */
const MOST_PARTS = 10;
/** Requests at once, so that the page leaves the daemon's other clients their share. */
const AT_ONCE = 4;

export const daemon = {
  version: (signal: AbortSignal) => ask<Version>("/version", { signal }),
  images: (signal: AbortSignal): Promise<ImageRow[]> =>
    allOf(async (query) => {
      const { images: rows, next } = await ask<ImageList>(`/images?${query}`, { signal });
      return { rows, next };
    }),
  strata: (name: string, signal: AbortSignal) => ask<Strata>(`/images/${encodeURIComponent(name)}/layers`, { signal }),
  removeImage: (name: string) => ask<RemoveResult>(`/images/${encodeURIComponent(name)}`, { method: "DELETE" }),
  deltas: (signal: AbortSignal): Promise<DeltaRow[]> =>
    allOf(async (query) => {
      const { deltas: rows, next } = await ask<DeltaList>(`/deltas?${query}`, { signal });
      return { rows, next };
    }),
  df: (signal: AbortSignal) => ask<DiskUsage>("/df", { signal }),
  gcPlan: (partialsOlderThanMs: number | undefined, signal: AbortSignal) =>
    ask<GcResult>(`/gc${partialsOlderThanMs === undefined ? "" : `?partialsOlderThanMs=${partialsOlderThanMs}`}`, {
      signal,
    }),
  plan: (body: PlanInput, signal: AbortSignal) => ask<PullResult>("/plans", { method: "POST", body, signal }),
  jobs: (query: { kind?: string; state?: string; limit?: number }, signal: AbortSignal): Promise<readonly Job[]> => {
    const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
    return ask<JobList>(`/jobs?${search}`, { signal }).then(({ jobs }) => jobs);
  },
  cancel: (id: string) => ask<Job>(`/jobs/${encodeURIComponent(id)}`, { method: "DELETE" }),
  pull: (body: PullInput) => ask<Job>("/pulls", { method: "POST", body }),
  createDelta: (body: DeltaInput) => ask<Job>("/deltas", { method: "POST", body }),
  gc: (body: { partialsOlderThanMs?: number }) => ask<Job>("/gc", { method: "POST", body }),
  fsck: (body: { repair: boolean }) => ask<Job>("/fsck", { method: "POST", body }),
};

async function allOf<Row>(
  part: (query: string) => Promise<{ readonly rows: readonly Row[]; readonly next: string | null }>,
): Promise<Row[]> {
  const all: Row[] = [];
  let after: string | null = null;
  for (let turn = 0; turn < MOST_PARTS; turn++) {
    const { rows, next } = await part(`limit=100${after === null ? "" : `&after=${encodeURIComponent(after)}`}`);
    all.push(...rows);
    if (next === null) break;
    after = next;
  }
  return all;
}

/** Each in its place; a few requests at once. */
export async function inTurns<From, To>(all: readonly From[], get: (from: From) => Promise<To>): Promise<To[]> {
  const results: To[] = [];
  const left = all.entries();
  const worker = async (): Promise<void> => {
    for (const [at, from] of left) results[at] = await get(from);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
