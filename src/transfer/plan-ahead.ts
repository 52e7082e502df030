/** Plans a layer of which something has to be fetched before anybody can know its sizes (plan/estargz.ts), by fetching that. */
import { DEFAULTS, type Rates } from "../plan/choose.ts";
import { outline, planUnsized, type UnsizedSource } from "../plan/estargz.ts";
import type { PieceSource, Refusal } from "../plan/piece-segments.ts";
import type { Plan } from "../plan/plan.ts";
import type { ChunkedLayer } from "../plan/zstd-chunked.ts";
import type { BlobSource } from "../registry/blob-source.ts";
import type { ByteRange } from "../store/types.ts";
import { inParallel } from "./in-parallel.ts";
import { readRange } from "./read-range.ts";
import type { TocRoom } from "./toc-room.ts";

export interface AheadOptions {
  readonly blobs: BlobSource;
  readonly signal: AbortSignal;
  /** For what is fetched. */
  readonly room: TocRoom;
  readonly rates?: Rates | undefined;
}

/** Stretches of the blob by their place, so that planning anew fetches nothing twice. */
export type FetchedStretches = Map<string, Uint8Array>;

const REQUESTS_AT_ONCE = 4;
const LEAST_GAP = 1024;
const MOST_GAP = 256 * 1024;

/** @throws TOC_LIMIT; `REGISTRY_*`, `RANGE_UNSUPPORTED`, `BLOB_UNKNOWN`; the signal's reason */
export async function planAhead(
  layer: ChunkedLayer,
  source: PieceSource,
  frames: Pick<UnsizedSource, "dataEnd" | "tail"> & { readonly fetched: FetchedStretches },
  options: AheadOptions,
): Promise<Plan | Refusal> {
  const { fetched, ...place } = frames;
  const unsized = { ...source, ...place };
  const needs = outline(unsized);
  if ("refused" in needs) return needs;
  const { rates = {} } = options;
  const { network = DEFAULTS.network, request = DEFAULTS.request } = rates;
  const missing = needs.stretches.filter((stretch) => !fetched.has(keyOf(stretch)));
  const groups = grouped(missing, Math.min(MOST_GAP, Math.max(LEAST_GAP, Math.floor(network * request))));
  const bytes = groups.reduce((sum, { start, end }) => sum + end - start, 0);
  // Without a plan all of the blob has to come, of which these are a part.
  if (groups.length * request + bytes / network >= (needs.bytes + needs.saved) / network) {
    return { refused: "to fetch what has to be known for a plan would take as long as the blob" };
  }
  options.room.take(missing.reduce((sum, { start, end }) => sum + end - start, 0));
  await inParallel(groups, REQUESTS_AT_ONCE, async ({ start, end, stretches }) => {
    const all = await readRange(options, layer.blob, start, end);
    // Copies, so that gaps are not kept with them.
    for (const each of stretches) {
      fetched.set(keyOf(each), Uint8Array.from(all.subarray(each.start - start, each.end - start)));
    }
  });
  const parts = needs.stretches.map((stretch) => fetched.get(keyOf(stretch))!);
  return planUnsized(layer, unsized, parts, options);
}

function keyOf({ start, end }: ByteRange): string {
  return `${start}-${end}`;
}

interface Group extends ByteRange {
  readonly stretches: readonly ByteRange[];
}

/** Stretches with no more than a gap between them are one request. */
function grouped(stretches: readonly ByteRange[], gap: number): Group[] {
  const groups: { start: number; end: number; stretches: ByteRange[] }[] = [];
  for (const stretch of stretches) {
    const last = groups.at(-1);
    if (last !== undefined && stretch.start - last.end <= gap) {
      last.end = stretch.end;
      last.stretches.push(stretch);
    } else groups.push({ ...stretch, stretches: [stretch] });
  }
  return groups;
}
