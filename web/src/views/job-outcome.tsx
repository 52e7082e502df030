/** What came of a job: a sentence, and its figures. */
import type { Job, PullResult, StoreReport } from "../api/types.ts";
import { formatBytes, formatShare, shortDigest } from "../model/format.ts";
import { KINDS, missingOf } from "../model/parts.ts";
import { plannedUpdate } from "../model/plan.ts";
import type { JobStory } from "../model/story.ts";
import { ErrorBox } from "../parts/states.tsx";
import { Legend, Strip } from "../parts/strip.tsx";
import { href } from "../route.ts";
import { outcomeOf } from "./job-words.ts";
import { LayerStrips } from "./layer-strips.tsx";

export function JobOutcome({ job, story }: { readonly job: Job; readonly story: JobStory }) {
  if (job.error !== null) {
    return (
      <>
        <ErrorBox error={job.error} />
        <LeftBehind story={story} />
      </>
    );
  }
  if (job.state === "cancelled") {
    return (
      <>
        <p>It was cancelled. What had come is kept, and the next pull of it goes on from there.</p>
        <LeftBehind story={story} />
      </>
    );
  }
  const sentence = outcomeOf(job);
  if (sentence === undefined) return null;
  return (
    <>
      <p class="outcome" role="status">
        {sentence}
      </p>
      {job.kind === "pull" && job.result !== null && <Pulled result={job.result} />}
      {job.kind === "delta" && job.result !== null && (
        <p>
          {job.result.name !== null && <>It is called {job.result.name}. </>}
          {job.result.pushed !== null && <>It was pushed to {job.result.pushed}. </>}
          <a href={href("deltas")}>All deltas</a>
        </p>
      )}
      {job.kind === "fsck" && job.result !== null && <Findings report={job.result} />}
    </>
  );
}

/** How far it came. */
function LeftBehind({ story }: { readonly story: JobStory }) {
  const { parts } = story.totals();
  return parts.total > 0 ? <LayerStrips layers={story.layers} whole={parts} /> : null;
}

function Pulled({ result }: { readonly result: PullResult }) {
  const { layers, parts } = plannedUpdate(result);
  if (layers.length === 0) return null;
  return (
    <>
      <Strip parts={parts} label="The whole image" isThick />
      <Legend kinds={KINDS.filter((kind) => parts[kind] > 0)} hasMissing={missingOf(parts) > 0} />
      <ol class="strips" aria-label="Layers, the topmost first">
        {layers.toReversed().map(({ layer, parts, how }, at) => (
          <li key={`${layer.digest} ${at}`}>
            <code title={layer.digest}>{shortDigest(layer.digest)}</code>
            <Strip parts={parts} label={`Layer ${shortDigest(layer.digest)}`} />
            <span class="strip-figures">
              {formatBytes(layer.size)}, {how}
              {layer.how !== "present" &&
                layer.how !== "full" &&
                `, ${formatShare(layer.bytes.network, layer.size)} over the network`}
            </span>
          </li>
        ))}
      </ol>
      {result.warnings.map((warning) => (
        <p key={warning} class="warning">
          {warning}
        </p>
      ))}
      <p>
        <a href={href("images", result.reference)}>Among the images</a>
      </p>
    </>
  );
}

function Findings({ report }: { readonly report: StoreReport }) {
  if (report.findings.length === 0) return null;
  return (
    <ul class="plain findings">
      {report.findings.slice(0, 100).map(({ kind, severity, message, repaired }, at) => (
        <li key={at}>
          <b>{severity === "error" ? "broken" : "note"}</b> {message} <code>{kind}</code>
          {repaired === true && " (mended)"}
        </li>
      ))}
    </ul>
  );
}
