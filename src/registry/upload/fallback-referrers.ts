/**
 * Lists a referrer under the subject's tag, at registries that do not keep such lists (distribution-spec "Pushing Manifests with
 * Subject", "Referrers Tag Schema"). The list is read, changed and written: under a condition where the registry knows those, and
 * read once more in any case, and again a little later, because registries that do not know conditions send entity tags as well, and others
 * may write what they have made of the list as it was before.
 */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Document, type Index, type Manifest } from "../../oci/manifest.ts";
import { ACCEPT_MANIFESTS, MEDIA_TYPES } from "../../oci/media-types.ts";
import { referrerEntry } from "../../oci/referrer-entry.ts";
import { acrossEndpoints, type Caller } from "../attempts.ts";
import type { Endpoint } from "../endpoint.ts";
import { readDocument } from "../manifests.ts";
import type { Settings } from "../options.ts";
import { fallbackTag } from "../referrers.ts";
import type { Ask, Session } from "../session.ts";
import { RegistryFailure } from "../transport/failure.ts";
import { readErrorBody } from "../transport/body.ts";
import { header } from "../transport/transport.ts";
import { putDocument } from "./put-document.ts";

/** So often others may come in between. */
const MOST_TRIES = 10;
const LONGEST_WAIT_MS = 500;
/**
 * Who has read the list before it was written here writes about as long after that as it takes from reading to writing. The list is looked at
 * once more when so many times that has passed.
 */
const SETTLED_AFTER = 4;
const SHORTEST_SETTLING_MS = 50;
const LONGEST_SETTLING_MS = 1000;

export interface FallbackContext {
  readonly session: Session;
  readonly endpoint: Endpoint;
  readonly settings: Settings;
}

interface Listing {
  /** As it is; undefined when there is none. */
  readonly index?: Index;
  readonly etag?: string;
}

/** @returns the tag. @throws VarveError `MANIFEST_INVALID` when something else is under it, `REGISTRY_*` */
export async function listUnderTag(
  context: FallbackContext,
  subject: Digest,
  referrer: Manifest | Index,
  caller: Caller,
): Promise<string> {
  const tag = fallbackTag(subject);
  const { settings, endpoint } = context;
  const what = `referrers of ${subject}`;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const isListed = async (): Promise<boolean> => lists(await readListing(context, tag, what, caller), referrer);
    const begunAt = settings.clock.now();
    const done = await acrossEndpoints([endpoint], settings, caller, async () => {
      const listing = await readListing(context, tag, what, caller);
      if (lists(listing, referrer)) return "before";
      await writeListing(context, tag, what, listing, referrer, caller);
      return (await isListed()) ? "now" : "not";
    });
    if (done === "before") return tag;
    if (done === "now") {
      await settings.clock.sleep(settlingTime(settings.clock.now() - begunAt), caller.signal);
      if (await acrossEndpoints([endpoint], settings, caller, isListed)) return tag;
    }
    await settings.clock.sleep(settings.clock.random() * LONGEST_WAIT_MS, caller.signal);
  }
  throw new RegistryFailure(
    "REGISTRY_UNAVAILABLE",
    `${what}: ${endpoint.host} does not keep tag ${tag} as it was put`,
    {
      hint: "others may be pushing referrers at the same time; push again",
      detail: { host: endpoint.host },
    },
  );
}

function settlingTime(cycleMs: number): number {
  return Math.min(LONGEST_SETTLING_MS, Math.max(SHORTEST_SETTLING_MS, SETTLED_AFTER * cycleMs));
}

function lists({ index }: Listing, { digest }: Document): boolean {
  return index?.manifests.some((entry) => entry.digest === digest) ?? false;
}

async function readListing(context: FallbackContext, tag: string, what: string, caller: Caller): Promise<Listing> {
  const { session, endpoint } = context;
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
    const message = `${what}: what ${endpoint.host} has under tag ${tag} is no list of referrers`;
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
  { session, endpoint }: FallbackContext,
  tag: string,
  what: string,
  { index, etag }: Listing,
  referrer: Manifest | Index,
  caller: Caller,
): Promise<void> {
  const document = withEntry(index, referrerEntry(referrer), what);
  const headers = etag === undefined ? {} : { "if-match": etag };
  // Whether a condition held shows when the list is read again.
  await putDocument(session, endpoint, { document, tagOrDigest: tag, headers, subject: what }, caller);
}

/** What others wrote into the list stays, also what is not known here. */
function withEntry(index: Index | undefined, entry: Descriptor, what: string): Document {
  const mediaType = index?.mediaType ?? MEDIA_TYPES.ociIndex;
  const before =
    index === undefined
      ? { schemaVersion: 2, mediaType, manifests: [] }
      : (JSON.parse(Buffer.from(index.bytes).toString("utf8")) as { manifests: unknown[] });
  const bytes = Buffer.from(JSON.stringify({ ...before, manifests: [...before.manifests, entry] }));
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    throw new VarveError("MANIFEST_TOO_LARGE", `${what}: their list would have ${bytes.length} bytes`);
  }
  return { bytes, digest: digestOf(bytes), mediaType };
}
