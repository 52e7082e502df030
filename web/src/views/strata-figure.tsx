/**
 * The drawing of images as cores of sediment. One stop of the tab key; arrow keys go from layer to layer and from image to image, what is met or
 * pointed at shows where else it is.
 */
import { useMemo, useRef, useState } from "preact/hooks";
import { formatBytes } from "../model/format.ts";
import { layOut, type PlacedCore, type StrataRow } from "../model/strata.ts";
import { bandPath } from "../model/wave.ts";
import { useWidth } from "../parts/use-width.ts";
import { CoreColumn } from "./core-column.tsx";
import type { ImageCore } from "./image-core.ts";
import { placeId, sediment, type Place } from "./place.ts";

interface Props {
  /** In the order in which they stand. */
  readonly images: readonly ImageCore[];
  readonly shared: ReadonlyMap<string, number>;
  readonly chosen: Place | undefined;
  readonly onChoose: (place: Place) => void;
}

const LABEL = 58;

export function StrataFigure({ images, shared, chosen, onChoose }: Props) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const [met, setMet] = useState<Place>();
  const root = useRef<HTMLDivElement>(null);
  const isNarrow = width < 520;
  const rows = useMemo(
    () =>
      layOut(images, {
        width,
        axis: isNarrow ? 46 : 60,
        coreWidth: isNarrow ? 66 : 104,
        gap: isNarrow ? 24 : 44,
        height: isNarrow ? 260 : 400,
      }),
    [images, width, isNarrow],
  );
  const cores = rows.flatMap((row) => row.cores);
  const lit = keyAt(images, met) ?? keyAt(images, chosen);
  const stop = stopOf(cores, chosen);

  const move = (event: KeyboardEvent): void => {
    const next = moved(cores, met ?? stop, event.key);
    if (next === undefined) return;
    event.preventDefault();
    setMet(next);
    root.current?.querySelector<SVGElement>(`[data-place="${CSS.escape(placeId(next))}"]`)?.focus();
  };

  return (
    <div ref={ref}>
      <div
        ref={root}
        class={lit === undefined ? "strata" : "strata has-lit"}
        role="group"
        aria-label="Images as strata. Arrow keys go through layers and images."
        onKeyDown={move}
        onMouseLeave={() => setMet(undefined)}
      >
        {width > 0 &&
          rows.map((row) => (
            <svg key={row.cores[0]?.image.name} width={width} height={row.height + LABEL} class="strata-row">
              {row.ticks.map(({ bytes, y }) => (
                <g key={bytes} class="tick" aria-hidden="true">
                  <line x1={isNarrow ? 42 : 54} x2={width} y1={y} y2={y} />
                  <text x={isNarrow ? 40 : 50} y={y + 4}>
                    {bytes === 0 ? "0" : formatBytes(bytes)}
                  </text>
                </g>
              ))}
              <Bands row={row} lit={lit} shared={shared} />
              {row.cores.map((core) => (
                <CoreColumn
                  key={core.image.name}
                  core={core}
                  shared={shared}
                  floor={row.height}
                  lit={core.image.layers.some(({ key }) => key === lit) ? lit : undefined}
                  chosen={chosen?.name === core.image.name ? chosen : undefined}
                  stop={stop?.name === core.image.name ? stop.index : undefined}
                  onMeet={setMet}
                  onChoose={onChoose}
                />
              ))}
            </svg>
          ))}
      </div>
      <p class="hint">
        To scale, the lowest layer first; the thinnest are drawn thicker than they are. Coloured layers are in several
        images, grey ones in one.
      </p>
    </div>
  );
}

interface BandsProps {
  readonly row: StrataRow<ImageCore>;
  readonly lit: string | undefined;
  readonly shared: ReadonlyMap<string, number>;
}

function Bands({ row, lit, shared }: BandsProps) {
  return (
    <g aria-hidden="true">
      {row.bands.map((band) => (
        <path
          key={`${band.from.x} ${band.key}`}
          class={`band ${sediment(shared, band.key)}${band.key === lit ? " lit" : ""}`}
          d={bandPath(band)}
        />
      ))}
    </g>
  );
}

function keyAt(images: readonly ImageCore[], place: Place | undefined): string | undefined {
  if (place?.index === undefined) return undefined;
  return images.find(({ name }) => name === place.name)?.layers[place.index]?.key;
}

/** Where the tab key comes in: what was chosen, else the lowest layer of the first image that has any. */
function stopOf(cores: readonly PlacedCore<ImageCore>[], chosen: Place | undefined): Place | undefined {
  const core = cores.find(({ image }) => image.name === chosen?.name) ?? cores.find(({ strata }) => strata.length > 0);
  if (core === undefined) return undefined;
  const isOf = core.image.name === chosen?.name;
  return { name: core.image.name, index: (isOf ? chosen?.index : undefined) ?? 0 };
}

function moved(cores: readonly PlacedCore<ImageCore>[], from: Place | undefined, key: string): Place | undefined {
  const at = cores.findIndex(({ image }) => image.name === from?.name);
  const index = from?.index ?? 0;
  const to = (column: number, layer: number): Place | undefined => {
    const core = cores[column];
    if (core === undefined || core.strata.length === 0) return undefined;
    return { name: core.image.name, index: Math.max(0, Math.min(layer, core.strata.length - 1)) };
  };
  switch (key) {
    case "ArrowUp":
      return to(at, index + 1);
    case "ArrowDown":
      return to(at, index - 1);
    case "ArrowLeft":
      return to(at - 1, index);
    case "ArrowRight":
      return to(at + 1, index);
    case "Home":
      return to(0, 0);
    case "End":
      return to(cores.length - 1, 0);
    default:
      return undefined;
  }
}
