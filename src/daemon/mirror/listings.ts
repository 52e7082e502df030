/** Lists of a mirrored repository: as its registry has them now, or what was last known when it cannot be reached. */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { TransportEvent } from "../../registry/blob-source.ts";
import type { Store } from "../../store/store.ts";
import type { Daemon } from "../daemon.ts";
import { noted } from "./noting.ts";
import { withPatience } from "./patience.ts";
import { isAbsent, isUnreachable } from "./refusals.ts";
import type { Upstream } from "./upstreams.ts";

const PATIENCE = { retries: 1, ms: 30_000 };
/** Of one subject that are kept for when the registry cannot be reached. */
const MOST_REFERRERS = 1000;

export interface ListingParts {
  readonly daemon: Pick<Daemon, "config" | "metrics" | "log" | "signal">;
  readonly store: Store;
  readonly onEvent: (event: TransportEvent) => void;
}

/** In lexical order; undefined when there is no such repository. */
export async function listTags(
  upstream: Upstream,
  { daemon, store, onEvent }: ListingParts,
): Promise<readonly string[] | undefined> {
  const { client, reference, key } = upstream;
  try {
    const asking = { ...PATIENCE, signal: daemon.signal, onEvent };
    const tags = await withPatience(`tags of ${key.name}`, asking, (caller) => client.listTags(reference, caller));
    return tags.sort(byBytes);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    const known = isUnreachable(error) && daemon.config().mirror.serveStale ? await store.repositories.tags(key) : [];
    if (known === undefined || known.length === 0) throw error;
    return known.map(({ tag }) => tag);
  }
}

export async function listReferrers(
  upstream: Upstream,
  subject: Digest,
  { daemon, store, onEvent }: ListingParts,
): Promise<readonly Descriptor[]> {
  const { client, reference, key } = upstream;
  const { repositories } = store;
  try {
    const asking = { ...PATIENCE, signal: daemon.signal, onEvent };
    const what = `referrers of ${key.name} ${subject}`;
    const found = await withPatience(what, asking, (caller) => client.referrers(reference, subject, caller));
    // Only of what is cached: else whoever asks for digests that he makes up fills the database.
    const isCached = (await repositories.manifest(key, subject)) !== undefined;
    const kept = found.slice(0, MOST_REFERRERS);
    if (isCached) await noted(daemon.log, { subject }, () => repositories.setReferrers(key, subject, kept));
    return found;
  } catch (error) {
    if (isAbsent(error)) return [];
    const known =
      isUnreachable(error) && daemon.config().mirror.serveStale ? await repositories.referrers(key, subject) : [];
    if (known.length === 0) throw error;
    return known;
  }
}

/** As the specification has it: by their bytes. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
