/** The recipe of each layer as a strip: what comes from where, and what is missing. */
import { formatBytes, formatRate, formatShare, shortDigest } from "../model/format.ts";
import { KINDS, missingOf, type Parts } from "../model/parts.ts";
import type { LayerStory, Phase } from "../model/story.ts";
import { Legend, Strip } from "../parts/strip.tsx";

const PHASES: Readonly<Record<Phase, string>> = {
  queued: "queued",
  waiting: "waiting for another process",
  moving: "",
  unpacking: "unpacking",
  checking: "checked",
  done: "done",
};

interface Props {
  /** From the lowest up. */
  readonly layers: readonly LayerStory[];
  readonly whole: Parts;
}

export function LayerStrips({ layers, whole }: Props) {
  return (
    <>
      <Strip parts={whole} label="All layers" isThick />
      <Legend
        kinds={KINDS.filter((kind) => layers.some(({ parts }) => parts[kind] > 0))}
        hasMissing={missingOf(whole) > 0}
      />
      <ol class="strips" aria-label="Layers, the topmost first">
        {layers.toReversed().map((layer) => (
          <li key={layer.name}>
            <code title={layer.name}>{shortDigest(layer.name)}</code>
            <Strip parts={layer.parts} label={`Layer ${shortDigest(layer.name)}`} />
            <span class="strip-figures">{figuresOf(layer)}</span>
          </li>
        ))}
      </ol>
    </>
  );
}

function figuresOf({ phase, parts, bytesPerSecond, unpacked }: LayerStory): string {
  const done = parts.total - missingOf(parts);
  if (phase === "done" || phase === "checking") return `${formatBytes(parts.total)} ${PHASES[phase]}`;
  const of = `${formatShare(done, parts.total)} of ${formatBytes(parts.total)}`;
  if (phase === "unpacking") return `${of}, unpacked ${unpacked === undefined ? "so far" : formatShare(unpacked, 1)}`;
  if (phase === "moving") return bytesPerSecond > 0 ? `${of}, ${formatRate(bytesPerSecond)}` : of;
  return `${of}, ${PHASES[phase]}`;
}
