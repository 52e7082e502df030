/** Bytes as a strip, cut by where they come from. Each kind has a pattern of its own, so that nobody needs to tell the colours apart. */
import { formatBytes, formatShare } from "../model/format.ts";
import { KIND_WORDS, KINDS, missingOf, type Kind, type Parts } from "../model/parts.ts";

interface StripProps {
  readonly parts: Parts;
  /** What it is of; the shares are told with it to whoever does not see. */
  readonly label: string;
  readonly isThick?: boolean;
}

export function Strip({ parts, label, isThick = false }: StripProps) {
  let at = 0;
  return (
    <svg class={isThick ? "strip strip-thick" : "strip"} role="img" aria-label={`${label}: ${partsInWords(parts)}`}>
      <rect class="strip-missing" width="100%" height="100%" rx="3" />
      {KINDS.map((kind) => {
        const share = (100 * parts[kind]) / parts.total;
        const x = at;
        at += share;
        return share <= 0 ? null : (
          <g key={kind}>
            <rect class={`kind-${kind}`} x={`${x}%`} width={`${share}%`} height="100%" />
            <rect class="kind-texture" fill={`url(#texture-${kind})`} x={`${x}%`} width={`${share}%`} height="100%" />
          </g>
        );
      })}
    </svg>
  );
}

/** `12 MB network (40 %), 18 MB missing (60 %)` */
export function partsInWords(parts: Parts): string {
  const told = [...KINDS.map((kind) => [kind, parts[kind]] as const), ["missing", missingOf(parts)] as const]
    .filter(([, bytes]) => bytes >= 0.5)
    .map(([kind, bytes]) => `${formatBytes(bytes)} ${KIND_WORDS[kind].name} (${formatShare(bytes, parts.total)})`);
  return told.length === 0 ? "nothing yet" : told.join(", ");
}

export function Legend({
  kinds,
  hasMissing = false,
}: {
  readonly kinds: readonly Kind[];
  readonly hasMissing?: boolean;
}) {
  const shown = KINDS.filter((kind) => kinds.includes(kind));
  return (
    <ul class="legend" aria-label="What the colours mean">
      {[...shown, ...(hasMissing ? (["missing"] as const) : [])].map((kind) => (
        <li key={kind} title={KIND_WORDS[kind].means}>
          <svg width="22" height="14" aria-hidden="true">
            <rect class={kind === "missing" ? "strip-missing" : `kind-${kind}`} width="22" height="14" rx="2" />
            {kind !== "missing" && <rect fill={`url(#texture-${kind})`} width="22" height="14" rx="2" />}
          </svg>
          {KIND_WORDS[kind].name}
        </li>
      ))}
    </ul>
  );
}

/** The patterns, once in the page. */
export function Textures() {
  return (
    <svg width="0" height="0" class="textures" aria-hidden="true">
      <defs>
        <pattern id="texture-local" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="grain" width="1.500" height="6" />
        </pattern>
        <pattern id="texture-data" width="6" height="6" patternUnits="userSpaceOnUse">
          <circle class="grain" cx="1.500" cy="1.500" r="1" />
          <circle class="grain" cx="4.500" cy="4.500" r="1" />
        </pattern>
        <pattern id="texture-zero" width="5" height="5" patternUnits="userSpaceOnUse">
          <rect class="grain" width="1" height="5" />
        </pattern>
        <pattern id="texture-here" width="8" height="6" patternUnits="userSpaceOnUse">
          <rect class="grain" y="3" width="8" height="1" />
        </pattern>
        <pattern id="texture-network" width="4" height="4" patternUnits="userSpaceOnUse" />
      </defs>
    </svg>
  );
}
