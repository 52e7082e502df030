/**
 * How near to each other frames have to lie to come with one request. Reading over a gap beats another request as long as it
 * takes less time (latency × bandwidth; podman reads over 1 KiB whatever the line), but the bytes in the gaps are spent all
 * the same: they stay a small part of those that are wanted.
 */
import type { Segment } from "../recipe/segment.ts";
import { DEFAULTS, type Rates } from "./choose.ts";

/** Read over whatever the line is. */
const LEAST_GAP = 1024;
const MOST_GAP = 1 << 20;
/** Of the wanted bytes. */
const MOST_WASTE = 0.04;

/**
 * `gapBytes` for a recipe of these segments: as much as pays at these rates, as long as all gaps together are at most 4 % of
 * the frames; from 1 KiB to 1 MiB.
 */
export function gapBytesFor(segments: Iterable<Segment>, rates: Rates = {}): number {
  const { network = DEFAULTS.network, request = DEFAULTS.request } = rates;
  const most = Math.min(MOST_GAP, Math.max(LEAST_GAP, Math.floor(request * network)));
  const { gaps, wanted } = measure(segments, most);
  let chosen = LEAST_GAP;
  let waste = 0;
  for (const gap of gaps.sort((a, b) => a - b)) {
    waste += gap;
    if (gap > LEAST_GAP && waste > wanted * MOST_WASTE) break;
    chosen = Math.max(chosen, gap);
  }
  return chosen;
}

/** The gaps between frames that follow each other in the target and, not too far, in their blob. */
function measure(segments: Iterable<Segment>, most: number): { gaps: number[]; wanted: number } {
  const gaps: number[] = [];
  let wanted = 0;
  let blob: string | undefined;
  let end = 0;
  for (const segment of segments) {
    if (segment.kind !== "frames") continue;
    const gap = segment.blob.digest === blob ? segment.start - end : 0;
    if (gap > 0 && gap <= most) gaps.push(gap);
    wanted += segment.length;
    blob = segment.blob.digest;
    end = segment.start + segment.length;
  }
  return { gaps, wanted };
}
