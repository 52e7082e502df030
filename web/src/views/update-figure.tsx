/** The image here and what it would become, as two cores: what they have in common is joined, what is new is cut by where it would come from. */
import { useMemo } from "preact/hooks";
import { formatBytes, splitName } from "../model/format.ts";
import { KINDS } from "../model/parts.ts";
import type { PlannedUpdate } from "../model/plan.ts";
import { layOut, type PlacedCore, type Stratum } from "../model/strata.ts";
import { bandPath, laminae, stratumPath } from "../model/wave.ts";
import { useWidth } from "../parts/use-width.ts";
import type { ImageCore } from "./image-core.ts";

interface Props {
  readonly image: ImageCore;
  readonly update: PlannedUpdate;
  readonly reference: string;
}

const LABEL = 46;
const AXIS = 4;

export function UpdateFigure({ image, update, reference }: Props) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const [row] = useMemo(() => {
    const planned = update.layers.map(({ layer }) => ({ key: layer.diffId ?? layer.digest, size: layer.size }));
    const room = Math.min(width, 720);
    const coreWidth = Math.floor((room - AXIS) * 0.36);
    return layOut(
      [
        { name: image.name, layers: image.layers },
        { name: reference, layers: planned },
      ],
      { width: room, axis: AXIS, coreWidth, gap: Math.floor((room - AXIS) * 0.28) - 1, height: 260 },
    );
  }, [image, update, reference, width]);
  const [here, planned] = row?.cores ?? [];
  return (
    <div ref={ref} class="update-figure">
      {row !== undefined && here !== undefined && planned !== undefined && width > 0 && (
        <svg
          width={Math.min(width, 720)}
          height={row.height + LABEL}
          role="img"
          aria-label={inWords(image, update, reference)}
        >
          {row.bands.map((band) => (
            <path key={band.key} class="band sediment-joined" d={bandPath(band)} />
          ))}
          {here.strata.map((stratum) => (
            <Layer key={stratum.index} core={here} stratum={stratum} />
          ))}
          {planned.strata.map((stratum) => (
            <PlannedStratum key={stratum.index} core={planned} stratum={stratum} update={update} />
          ))}
          <CoreLabel core={here} floor={row.height} note="here" />
          <CoreLabel core={planned} floor={row.height} note="update" />
        </svg>
      )}
    </div>
  );
}

interface LayerProps {
  readonly core: PlacedCore<{ name: string; layers: readonly { key: string; size: number }[] }>;
  readonly stratum: Stratum;
}

function Layer({ core: { x, width, strata }, stratum: { key, index, y, height } }: LayerProps) {
  return (
    <g class="stratum kind-of-here">
      <path class="stratum-body" d={stratumPath({ key, y, height }, strata[index - 1], x, width)} />
      <path class="laminae" d={laminae(key, x, y, width, height)} />
    </g>
  );
}

/** Cut across by kinds, as its strip is. */
function PlannedStratum({ core, stratum, update }: LayerProps & { readonly update: PlannedUpdate }) {
  const planned = update.layers[stratum.index];
  if (planned === undefined) return null;
  const { parts } = planned;
  const clip = `planned-${stratum.index}`;
  let at = core.x;
  return (
    <g class="stratum">
      <clipPath id={clip}>
        <path d={stratumPath(stratum, core.strata[stratum.index - 1], core.x, core.width)} />
      </clipPath>
      <g clip-path={`url(#${clip})`}>
        {KINDS.map((kind) => {
          const [x, width] = [at, (core.width * parts[kind]) / parts.total];
          at += width;
          if (width <= 0) return null;
          // The wave goes beyond the layer's box.
          const box = { x, width, y: stratum.y - 4, height: stratum.height + 8 };
          return (
            <g key={kind}>
              <rect class={`kind-${kind}`} {...box} />
              {kind !== "here" && <rect fill={`url(#texture-${kind})`} {...box} />}
            </g>
          );
        })}
      </g>
      <path class="laminae" d={laminae(stratum.key, core.x, stratum.y, core.width, stratum.height)} />
      <path class="stratum-edge" d={stratumPath(stratum, core.strata[stratum.index - 1], core.x, core.width)} />
    </g>
  );
}

function CoreLabel({ core, floor, note }: { core: LayerProps["core"]; floor: number; note: string }) {
  const { last, tag } = splitName(core.image.name);
  const most = Math.floor(core.width / 7.6);
  const name = `${last}${tag}`;
  return (
    <g class="core-label">
      <text x={core.x + core.width / 2} y={floor + 18} class="core-name">
        {name.length > most ? `…${name.slice(1 - most)}` : name}
      </text>
      <text x={core.x + core.width / 2} y={floor + 35} class="core-size">
        {note}, {formatBytes(core.image.layers.reduce((sum, { size }) => sum + size, 0))}
      </text>
    </g>
  );
}

function inWords(image: ImageCore, update: PlannedUpdate, reference: string): string {
  const keys = new Set(image.layers.map(({ key }) => key));
  const common = update.layers.filter(({ layer }) => keys.has(layer.diffId ?? layer.digest)).length;
  return `${image.name} with ${image.layers.length} layers beside ${reference} with ${update.layers.length}; ${common} of them are the same`;
}
