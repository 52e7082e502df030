/**
 * Changes an index that stands under a tag, where others may change it as well. It is read, changed and written: under a condition where the registry
 * knows those, and read once more in any case, and again a little later, because registries that do not know conditions send entity tags as well,
 * and others may write what they have made of the index as it was before.
 */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { parseManifest, type Document, type Index } from "../../oci/manifest.ts";
import { ACCEPT_MANIFESTS } from "../../oci/media-types.ts";
import { acrossEndpoints, type Caller } from "../attempts.ts";
import type { Endpoint } from "../endpoint.ts";
import { readDocument, resolveManifest } from "../manifests.ts";
import type { Settings } from "../options.ts";
import type { Ask, Session } from "../session.ts";
import { RegistryFailure } from "../transport/failure.ts";
import { readErrorBody } from "../transport/body.ts";
import { header } from "../transport/transport.ts";
import { putDocument } from "./put-document.ts";

/** Entries that are asked for where a registry says that it lacks some. */
const MOST_CHECKED = 1000;
/** So often others may come in between. */
const MOST_TRIES = 10;
const LONGEST_WAIT_MS = 500;
/**
 * Who has read the index before it was written here writes about as long after that as it takes from reading to writing. It is looked at once more
 * when so many times that has passed.
 */
const SETTLED_AFTER = 4;
const SHORTEST_SETTLING_MS = 50;
const LONGEST_SETTLING_MS = 1000;

export interface ChangeContext {
  readonly session: Session;
  readonly endpoint: Endpoint;
  readonly settings: Settings;
}

/** What is to become of an index; both are asked again when others have come in between. */
export interface IndexChange {
  readonly tag: string;
  /** What the index is, for messages: `referrers of sha256:...`. */
  readonly what: string;
  /** Whether the index is as it is to be. */
  isMade(index: Index | undefined): boolean;
  /**
   * The index with the change, made of the one that is there.
   * @param gone what it names and the repository does not have, where the registry takes no index that names such
   * @throws VarveError `MANIFEST_TOO_LARGE`
   */
  make(index: Index | undefined, gone: ReadonlySet<string>): Document;
}

interface Listing {
  /** As it is; undefined when there is none. */
  readonly index?: Index;
  readonly etag?: string;
}

/** @throws VarveError `MANIFEST_INVALID` when something else is under the tag, `REGISTRY_UNAVAILABLE` when it does not stay, `REGISTRY_*` */
export async function changeIndex(context: ChangeContext, change: IndexChange, caller: Caller): Promise<void> {
  const { settings, endpoint } = context;
  let gone: ReadonlySet<string> = new Set();
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const isMade = async (): Promise<boolean> => change.isMade((await readListing(context, change, caller)).index);
    const begunAt = settings.clock.now();
    const done = await acrossEndpoints([endpoint], settings, caller, async () => {
      const listing = await readListing(context, change, caller);
      if (change.isMade(listing.index)) return "before";
      try {
        await writeListing(context, change, listing, gone, caller);
      } catch (error) {
        // What was deleted would keep the index as it is for ever.
        if (!isVarveError(error, "BLOB_UNKNOWN") || gone.size > 0) throw error;
        gone = await entriesGone(context, listing, change.what, caller);
        if (gone.size === 0) throw error;
        await writeListing(context, change, listing, gone, caller);
      }
      return (await isMade()) ? "now" : "not";
    });
    if (done === "before") return;
    if (done === "now") {
      await settings.clock.sleep(settlingTime(settings.clock.now() - begunAt), caller.signal);
      if (await acrossEndpoints([endpoint], settings, caller, isMade)) return;
    }
    await settings.clock.sleep(settings.clock.random() * LONGEST_WAIT_MS, caller.signal);
  }
  throw new RegistryFailure(
    "REGISTRY_UNAVAILABLE",
    `${change.what}: ${endpoint.host} does not keep tag ${change.tag} as it was put`,
    { hint: "others may be pushing at the same time; push again", detail: { host: endpoint.host } },
  );
}

function settlingTime(cycleMs: number): number {
  return Math.min(LONGEST_SETTLING_MS, Math.max(SHORTEST_SETTLING_MS, SETTLED_AFTER * cycleMs));
}

async function readListing(
  { session, endpoint }: ChangeContext,
  { tag, what }: IndexChange,
  caller: Caller,
): Promise<Listing> {
  const ask: Ask = {
    method: "GET",
    path: `/manifests/${tag}`,
    push: true,
    headers: { accept: ACCEPT_MANIFESTS, "accept-encoding": "identity" },
    subject: what,
    ...caller,
  };
  const answer = await session.send(endpoint, ask);
  if (answer.status === 404) {
    await readErrorBody(answer.body);
    return {};
  }
  if (answer.status !== 200) throw await session.refusal(answer, ask, "MANIFEST_UNKNOWN");
  const bytes = await readDocument(answer, what, caller);
  const contentType = header(answer.headers, "content-type");
  const etag = header(answer.headers, "etag");
  const index = readIndex(bytes, contentType);
  if (index === undefined) {
    const message = `${what}: what ${endpoint.host} has under tag ${tag} is no index`;
    throw new VarveError("MANIFEST_INVALID", message, {
      hint: "the tag is needed for the list; whoever put something else there has to remove it",
      detail: { host: endpoint.host, tag },
    });
  }
  return { index, ...(etag !== undefined && !etag.startsWith("W/") && { etag }) };
}

function readIndex(bytes: Uint8Array, contentType: string | undefined): Index | undefined {
  try {
    const document = parseManifest(bytes, contentType === undefined ? {} : { contentType });
    return document.kind === "index" ? document : undefined;
  } catch (error) {
    if (isVarveError(error, "MANIFEST_INVALID") || isVarveError(error, "MANIFEST_UNSUPPORTED")) return undefined;
    throw error;
  }
}

async function writeListing(
  { session, endpoint }: ChangeContext,
  change: IndexChange,
  { index, etag }: Listing,
  gone: ReadonlySet<string>,
  caller: Caller,
): Promise<void> {
  const document = change.make(index, gone);
  const headers = etag === undefined ? {} : { "if-match": etag };
  // Whether a condition held shows when the index is read again.
  await putDocument(session, endpoint, { document, tagOrDigest: change.tag, headers, subject: change.what }, caller);
}

async function entriesGone(
  { session, endpoint }: ChangeContext,
  { index }: Listing,
  what: string,
  caller: Caller,
): Promise<ReadonlySet<string>> {
  const gone = new Set<string>();
  for (const { digest } of index?.manifests.slice(0, MOST_CHECKED) ?? []) {
    try {
      const ask = { target: digest, digest, push: true, subject: `${what}: ${digest}` };
      await resolveManifest(session, endpoint, ask, caller);
    } catch (error) {
      if (!isVarveError(error, "MANIFEST_UNKNOWN")) throw error;
      gone.add(digest);
    }
  }
  return gone;
}
