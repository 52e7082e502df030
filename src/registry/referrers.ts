/** What refers to a manifest (distribution-spec "Listing Referrers"), from the API or from the fallback tag. */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestAlgorithm, digestHex, type Digest } from "../oci/digest.ts";
import { parseManifest } from "../oci/manifest.ts";
import { MEDIA_TYPES, stripParameters } from "../oci/media-types.ts";
import type { Caller } from "./attempts.ts";
import type { Endpoint } from "./endpoint.ts";
import { fetchManifest, readDocument } from "./manifests.ts";
import { eachPage, nextPage } from "./pages.ts";
import type { Session, SessionAnswer } from "./session.ts";
import { discard } from "./transport/body.ts";
import { contentLength, header } from "./transport/transport.ts";

const MOST_REFERRERS = 100_000;

export interface ReferrersAsk {
  readonly digest: Digest;
  /** Only these. Filtered here, whatever the registry filters. */
  readonly artifactType?: string | undefined;
  readonly subject: string;
  /** By the rights of who pushes. Default false. */
  readonly push?: boolean;
}

export async function listReferrers(
  session: Session,
  endpoint: Endpoint,
  ask: ReferrersAsk,
  caller: Caller,
): Promise<readonly Descriptor[]> {
  const { digest, artifactType, subject, push = false } = ask;
  const query = artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
  const found: Descriptor[] = [];
  let known = true;
  const http = { subject, push, headers: { accept: MEDIA_TYPES.ociIndex, "accept-encoding": "identity" } };
  await eachPage(session, endpoint, http, `/referrers/${digest}${query}`, caller, async (answer) => {
    const page = await readPage(session, answer, http, caller);
    known = page !== undefined;
    found.push(...(page ?? []));
    if (found.length > MOST_REFERRERS)
      throw new VarveError("REGISTRY_PROTOCOL", `${subject}: more than ${MOST_REFERRERS}`);
    return page === undefined ? undefined : nextPage(answer, endpoint, subject);
  });
  const all: readonly Descriptor[] = known ? found : await fromTag(session, endpoint, ask, caller);
  return artifactType === undefined ? all : all.filter((descriptor) => descriptor.artifactType === artifactType);
}

/** Undefined when the registry does not have the API. */
async function readPage(
  session: Session,
  answer: SessionAnswer,
  http: { readonly subject: string; readonly push: boolean },
  caller: Caller,
): Promise<readonly Descriptor[] | undefined> {
  const type = stripParameters(header(answer.headers, "content-type") ?? "");
  // Some gateways answer a page of their own for paths that they do not know.
  const absent = [400, 404, 405, 501].includes(answer.status) || (answer.status === 200 && type === "text/html");
  if (absent) {
    await discard(answer.body, contentLength(answer.headers));
    return undefined;
  }
  if (answer.status !== 200)
    throw await session.refusal(answer, { ...http, method: "GET", path: "" }, "MANIFEST_UNKNOWN");
  const index = parseManifest(await readDocument(answer, http.subject, caller), { contentType: MEDIA_TYPES.ociIndex });
  return index.kind === "index" ? index.manifests : [];
}

/** No tag, or something that is no index under it, means that nothing refers to the manifest. */
async function fromTag(
  session: Session,
  endpoint: Endpoint,
  ask: ReferrersAsk,
  caller: Caller,
): Promise<readonly Descriptor[]> {
  const target = fallbackTag(ask.digest);
  try {
    const { subject, push = false } = ask;
    const index = await fetchManifest(session, endpoint, { target, subject, push }, caller);
    return index.kind === "index" ? index.manifests : [];
  } catch (error) {
    if (isVarveError(error, "MANIFEST_UNKNOWN") || isVarveError(error, "MANIFEST_INVALID")) return [];
    throw error;
  }
}

/** `sha256-<hex>`: distribution-spec "Referrers Tag Schema", at most 32 and 64 characters of the two parts. */
export function fallbackTag(digest: Digest): string {
  return `${digestAlgorithm(digest).slice(0, 32)}-${digestHex(digest).slice(0, 64)}`;
}
