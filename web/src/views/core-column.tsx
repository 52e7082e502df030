/** One image of the drawing: its layers one above the other, its name below. */
import { memo } from "../parts/memo.ts";
import { formatBytes, shortDigest, splitName } from "../model/format.ts";
import type { PlacedCore } from "../model/strata.ts";
import { laminae, stratumPath } from "../model/wave.ts";
import type { ImageCore } from "./image-core.ts";
import { placeId, sediment, type Place } from "./place.ts";

interface Props {
  readonly core: PlacedCore<ImageCore>;
  readonly shared: ReadonlyMap<string, number>;
  /** Of the drawing. */
  readonly floor: number;
  /** The layer that is shown wherever it is. */
  readonly lit: string | undefined;
  /** When it is of this image. */
  readonly chosen: Place | undefined;
  /** The layer of this image that the tab key comes to. */
  readonly stop: number | undefined;
  readonly onMeet: (place: Place) => void;
  readonly onChoose: (place: Place) => void;
}

export const CoreColumn = memo(({ core, shared, floor, lit, chosen, stop, onMeet, onChoose }: Props) => {
  const { image, x, width, strata } = core;
  return (
    <g role="group" aria-label={image.name}>
      {strata.map(({ key, size, index, y, height }) => {
        const place = { name: image.name, index };
        const isChosen = chosen?.index === index;
        return (
          <g
            key={index}
            role="button"
            tabIndex={index === stop ? 0 : -1}
            data-place={placeId(place)}
            aria-label={labelOf(image, index, size)}
            aria-pressed={isChosen}
            class={`stratum ${sediment(shared, key)}${key === lit ? " lit" : ""}${isChosen ? " chosen" : ""}`}
            onMouseEnter={() => onMeet(place)}
            onFocus={() => onMeet(place)}
            onClick={() => onChoose(place)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" && event.key !== " ") return;
              event.preventDefault();
              onChoose(place);
            }}
          >
            <path class="stratum-body" d={stratumPath({ key, y, height }, strata[index - 1], x, width)} />
            <path class="laminae" d={laminae(key, x, y, width, height)} />
            <rect class="stratum-focus" x={x - 2} y={y - 2} width={width + 4} height={height + 4} rx="3" />
          </g>
        );
      })}
      <Label
        image={image}
        x={x + width / 2}
        y={floor}
        width={width}
        isChosen={chosen !== undefined}
        onChoose={onChoose}
      />
    </g>
  );
});

interface LabelProps {
  readonly image: ImageCore;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly isChosen: boolean;
  readonly onChoose: (place: Place) => void;
}

/** Chosen as a whole by a pointer; who uses the keyboard has the layers and the table. */
function Label({ image, x, y, width, isChosen, onChoose }: LabelProps) {
  const { last, tag } = splitName(image.name);
  const most = Math.floor(width / 7.4) + 2;
  return (
    <g
      class={isChosen ? "core-label chosen" : "core-label"}
      aria-hidden="true"
      onClick={() => onChoose({ name: image.name, index: undefined })}
    >
      <title>{image.name}</title>
      <text x={x} y={y + 18} class="core-name">
        {cut(last, most)}
      </text>
      <text x={x} y={y + 33}>
        {cut(tag, most)}
      </text>
      <text x={x} y={y + 48} class="core-size">
        {formatBytes(image.layers.reduce((sum, { size }) => sum + size, 0))}
      </text>
    </g>
  );
}

function labelOf(image: ImageCore, index: number, size: number): string {
  const layer = image.layers[index];
  const others = layer === undefined || layer.shares === 0 ? "in no other image" : `in ${layer.shares} more`;
  return `${image.name}, layer ${index + 1} of ${image.layers.length}, ${shortDigest(layer?.digest ?? "")}, ${formatBytes(size)}, ${others}`;
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
