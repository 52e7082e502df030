/** One job, live while it runs: strips of its layers, its speed, what happened in words, and what came of it. */
import { useState } from "preact/hooks";
import { daemon, toTrouble, type Trouble } from "../api/daemon.ts";

import type { Job } from "../api/types.ts";
import { isFinal } from "../live.ts";
import { formatAgo, formatBytes, formatDuration, formatRate, formatShare } from "../model/format.ts";
import { missingOf } from "../model/parts.ts";
import { Figure, Figures } from "../parts/figure.tsx";
import { ErrorBox, Loading } from "../parts/states.tsx";
import { SpeedChart } from "../parts/speed-chart.tsx";
import { JobOutcome } from "./job-outcome.tsx";
import { LayerStrips } from "./layer-strips.tsx";
import { StateChip } from "./state-chip.tsx";
import { Told } from "./told.tsx";
import { KIND_NAMES, STATE_NAMES, subjectOf } from "./job-words.ts";
import { useJob, type FollowedJob } from "./use-job.ts";

export function JobDetails({ id }: { readonly id: string }) {
  const followed = useJob(id);
  const { job, error } = followed;
  if (error !== undefined) return <ErrorBox error={error} />;
  if (job === undefined) return <Loading what="Asking for the job" />;
  return (
    <article class="card job" aria-labelledby="job-title">
      <Head job={job} />
      {followed.isLost && !isFinal(job) && (
        <p class="muted" role="status">
          The daemon does not answer; this is what was known last.
        </p>
      )}
      {!isFinal(job) && <Running {...followed} job={job} />}
      <JobOutcome job={job} story={followed.story} />
      <Told told={followed.story.told} dropped={followed.story.dropped} />
    </article>
  );
}

function Head({ job }: { readonly job: Job }) {
  const [error, setError] = useState<Trouble>();
  const cancel = (): void => {
    setError(undefined);
    daemon.jobs.cancel(job.id).catch((thrown: unknown) => setError(toTrouble(thrown)));
  };
  const began = job.startedAt ?? job.createdAt;
  const took = job.endedAt === null ? undefined : formatDuration(Date.parse(job.endedAt) - Date.parse(began));
  return (
    <header class="job-head">
      <div>
        <p class="eyebrow">
          {KIND_NAMES[job.kind]} <StateChip state={job.state} />
        </p>
        <h2 id="job-title">{subjectOf(job)}</h2>
        <p class="muted">
          {formatAgo(began, Date.now())}
          {took !== undefined && `, took ${took}`}
          {job.worker !== null && `, by ${job.worker}`}
          {job.attempts > 1 && `, try ${job.attempts}`}
        </p>
      </div>
      {!isFinal(job) && (
        <button type="button" class="secondary" onClick={cancel}>
          Cancel
        </button>
      )}
      {error !== undefined && <ErrorBox error={error} />}
    </header>
  );
}

function Running({ job, story, speed }: FollowedJob & { readonly job: Job }) {
  const { parts, network, bytesPerSecond } = story.totals();
  const missing = missingOf(parts);
  const isCounted = parts.total > 0;
  const left = bytesPerSecond > 0 && missing > 0 ? formatDuration((missing / bytesPerSecond) * 1000) : "not known";
  return (
    <>
      {job.state === "queued" && <p>{STATE_NAMES.queued}; it begins when others have ended.</p>}
      {isCounted && (
        <>
          <Figures>
            <Figure
              label={job.kind === "delta" ? "Read" : "Here"}
              value={formatShare(parts.total - missing, parts.total)}
              note={`${formatBytes(parts.total - missing)} of ${formatBytes(parts.total)}`}
            />
            {job.kind !== "delta" && <Figure label="Over the network" value={formatBytes(network)} />}
            <Figure label="Speed" value={formatRate(bytesPerSecond)} />
            <Figure label="Left" value={missing === 0 ? "nothing" : left} />
          </Figures>
          <LayerStrips layers={story.layers} whole={parts} />
        </>
      )}
      {!isCounted && job.state === "running" && <Loading what="It has begun" />}
      <SpeedChart points={speed.points} />
    </>
  );
}
