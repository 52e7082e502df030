/** Asks the planners how a blob may come from its registry, given what an earlier try has left, and takes the cheapest. */
import type { Descriptor } from "../oci/descriptor.ts";
import { choose } from "../plan/choose.ts";
import { connectionsFor, planFull } from "../plan/full.ts";
import { costOf, type Plan } from "../plan/plan.ts";
import { planResume } from "../plan/resume.ts";
import type { ByteRange } from "../store/types.ts";

export interface FetchFacts {
  /** Of this blob, from an earlier try. */
  readonly done: readonly ByteRange[];
  /** Whether the host serves ranges; undefined when nobody knows. */
  readonly ranges: boolean | undefined;
  /** Layers that are still to be fetched, this one too. */
  readonly layersLeft: number;
  /** Transfers at once, of the whole run. */
  readonly concurrency: number;
}

export function planFetch(blob: Descriptor, { done, ranges, layersLeft, concurrency }: FetchFacts): Plan {
  if (blob.data !== undefined) return planInline(blob, blob.data);
  const full = planFull(blob, { ranges, connections: connectionsFor(layersLeft, concurrency) });
  // A host that serves no ranges sends the blob from its start again, whatever is here.
  if (done.length === 0 || ranges === false) return full;
  return choose([planResume(full, done), full]).plan;
}

/** A descriptor may carry its blob (image-spec "Embedded Content"): nothing has to move. */
function planInline(blob: Descriptor, base64: string): Plan {
  const segments = [{ kind: "data", bytes: Buffer.from(base64, "base64") }] as const;
  const recipe = { target: { digest: blob.digest, size: blob.size }, segments };
  return { how: "full", recipe, cost: costOf(segments), why: "from the manifest, which carries it" };
}
