/** A plan: what it comes to, the two images side by side, and each layer with the reason for its way. */
import { daemon, toTrouble, type Trouble } from "../api/daemon.ts";

import type { PullResult } from "../api/types.ts";
import { count, formatBytes, formatShare, shortDigest } from "../model/format.ts";
import { KINDS } from "../model/parts.ts";
import { plannedUpdate, type PlannedLayer, type PlannedUpdate } from "../model/plan.ts";
import { Figure, Figures } from "../parts/figure.tsx";
import { ErrorBox } from "../parts/states.tsx";
import { Legend, Strip } from "../parts/strip.tsx";
import { href } from "../route.ts";
import { useState } from "preact/hooks";
import type { ImageCore } from "./image-core.ts";
import { UpdateFigure } from "./update-figure.tsx";

interface Props {
  readonly plan: PullResult;
  readonly image: ImageCore | undefined;
}

export function UpdatePlan({ plan, image }: Props) {
  const update = plannedUpdate(plan);
  return (
    <section class="card plan" aria-labelledby="plan-title">
      <h2 id="plan-title">{headline(plan, update)}</h2>
      <Figures>
        <Figure
          label="Over the network"
          value={formatBytes(update.network)}
          note={`${formatShare(update.network, update.whole)} of ${formatBytes(update.whole)}`}
        />
        <Figure label="From this machine" value={formatBytes(update.parts.local + update.parts.here)} />
        <Figure label="Requests" value={String(plan.requests)} />
      </Figures>
      <Strip parts={update.parts} label="The whole image" isThick />
      <Legend kinds={KINDS.filter((kind) => update.parts[kind] > 0)} />
      {image !== undefined && <UpdateFigure image={image} update={update} reference={plan.reference} />}
      <Layers layers={update.layers} />
      {plan.warnings.map((warning) => (
        <p key={warning} class="warning">
          {warning}
        </p>
      ))}
      <PullIt plan={plan} />
    </section>
  );
}

function headline({ layers }: PullResult, { network }: PlannedUpdate): string {
  const present = layers.filter(({ how }) => how === "present").length;
  if (network === 0) return "It is all here: the update would move nothing";
  return `${formatBytes(network)} would have to come; ${present} of ${count(layers.length, "layer")} ${present === 1 ? "is" : "are"} here`;
}

function Layers({ layers }: { readonly layers: readonly PlannedLayer[] }) {
  return (
    <ol class="strips strips-planned" aria-label="Layers, the topmost first">
      {layers.toReversed().map(({ layer, parts, how }, at) => (
        <li key={`${layer.digest} ${at}`}>
          <code title={layer.digest}>{shortDigest(layer.digest)}</code>
          <Strip parts={parts} label={`Layer ${shortDigest(layer.digest)}`} />
          <span class="strip-figures">
            {layer.how === "present"
              ? formatBytes(layer.size)
              : `${formatBytes(layer.bytes.network)} of ${formatBytes(layer.size)}`}
            {", "}
            {how}
          </span>
          {layer.why !== undefined && <p class="why">{layer.why}</p>}
        </li>
      ))}
    </ol>
  );
}

function PullIt({ plan }: { readonly plan: PullResult }) {
  const [error, setError] = useState<Trouble>();
  const pull = async (): Promise<void> => {
    try {
      const of = plan.platform === null ? {} : { platform: plan.platform };
      const job = await daemon.pulls.create({ reference: plan.reference, ...of });
      location.hash = href("pulls", job.id);
    } catch (thrown) {
      setError(toTrouble(thrown));
    }
  };
  return (
    <>
      {error !== undefined && <ErrorBox error={error} />}
      <div class="actions">
        <button type="button" onClick={() => void pull()}>
          Pull it
        </button>
      </div>
    </>
  );
}
