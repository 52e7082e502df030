/** Jobs as a table that follows them. */
import type { ComponentChildren } from "preact";
import { daemon } from "../api/daemon.ts";
import { useResource, type Resource } from "../api/use-resource.ts";
import type { Job, JobKind, JobState } from "../api/types.ts";
import { useLive } from "../live.ts";
import { formatAgo } from "../model/format.ts";
import { ImageName } from "../parts/names.tsx";
import { When } from "../parts/states.tsx";
import { href } from "../route.ts";
import { KIND_NAMES, outcomeOf, subjectOf } from "./job-words.ts";
import { StateChip } from "./state-chip.tsx";

/** The list as it was asked for, with what has changed since. */
export function useJobs(kind: JobKind | undefined, state: JobState | undefined): Resource<readonly Job[]> {
  const { jobs: changed, generation } = useLive();
  const query = { ...(kind !== undefined && { kind }), ...(state !== undefined && { state }), limit: 100 };
  const list = useResource(
    `jobs ${JSON.stringify(query)}`,
    generation,
    async (signal) => (await daemon.jobs.list({ ...query, signal })).jobs,
  );
  if (list.data === undefined) return list;
  const all = new Map(list.data.map((job) => [job.id, job]));
  for (const job of changed.values()) if (newer(job, all.get(job.id))) all.set(job.id, job);
  const data = [...all.values()]
    .filter((job) => (kind === undefined || job.kind === kind) && (state === undefined || job.state === state))
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0));
  return { ...list, data };
}

/** What was asked for after a change was told may know more of it. */
function newer(job: Job, known: Job | undefined): boolean {
  const order: readonly JobState[] = ["queued", "running", "cancelled", "failed", "done"];
  return known === undefined || job.attempts > known.attempts || order.indexOf(job.state) >= order.indexOf(known.state);
}

interface Props {
  readonly jobs: Resource<readonly Job[]>;
  readonly view: "jobs" | "pulls";
  readonly chosen: string | undefined;
  readonly empty: ComponentChildren;
}

export function JobTable({ jobs, view, chosen, empty }: Props) {
  return (
    <When of={jobs} loading="Asking for the jobs">
      {(rows) =>
        rows.length === 0 ? (
          empty
        ) : (
          <div class="table">
            <table>
              <thead>
                <tr>
                  <th scope="col">{view === "pulls" ? "Image" : "Job"}</th>
                  <th scope="col">State</th>
                  <th scope="col">When</th>
                  <th scope="col">What came of it</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((job) => (
                  <tr key={job.id} class={job.id === chosen ? "chosen" : undefined}>
                    <th scope="row">
                      <a href={href(view, job.id)} aria-current={job.id === chosen ? "true" : undefined}>
                        {view === "jobs" && <span class="eyebrow">{KIND_NAMES[job.kind]}</span>}{" "}
                        {job.kind === "pull" ? <ImageName name={subjectOf(job)} /> : subjectOf(job)}
                      </a>
                    </th>
                    <td data-label="State">
                      <StateChip state={job.state} />
                    </td>
                    <td data-label="When">{formatAgo(job.createdAt, Date.now())}</td>
                    <td data-label="Outcome" class="wide">
                      {outcomeOf(job) ?? ""}
                      {job.error !== null && <span class="muted"> {job.error.hint}</span>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </When>
  );
}
