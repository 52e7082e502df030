/** Everything that was asked of this daemon that takes a while. */
import { useState } from "preact/hooks";
import type { JobKind, JobState } from "../api/types.ts";
import { Choice } from "../parts/field.tsx";
import { Empty } from "../parts/states.tsx";
import { JobDetails } from "./job-details.tsx";
import { JobTable, useJobs } from "./job-table.tsx";

const KINDS = [
  ["", "all kinds"],
  ["pull", "pulls"],
  ["delta", "deltas"],
  ["gc", "collections"],
  ["fsck", "checks"],
] as const satisfies readonly (readonly [JobKind | "", string])[];

const STATES = [
  ["", "any state"],
  ["queued", "waiting"],
  ["running", "running"],
  ["done", "done"],
  ["failed", "failed"],
  ["cancelled", "cancelled"],
] as const satisfies readonly (readonly [JobState | "", string])[];

export function JobsView({ id }: { readonly id: string | undefined }) {
  const [kind, setKind] = useState<JobKind | "">("");
  const [state, setState] = useState<JobState | "">("");
  const jobs = useJobs(kind === "" ? undefined : kind, state === "" ? undefined : state);
  return (
    <>
      {id !== undefined && <JobDetails key={id} id={id} />}
      <div class="filters">
        <Choice label="Kind" value={kind} choices={KINDS} onChoose={setKind} />
        <Choice label="State" value={state} choices={STATES} onChoose={setState} />
      </div>
      <JobTable
        jobs={jobs}
        view="jobs"
        chosen={id}
        empty={
          <Empty title="No such jobs">Pulls, deltas, collections and checks appear here when they are asked for.</Empty>
        }
      />
    </>
  );
}
