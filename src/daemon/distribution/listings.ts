/** Tags and referrers, page by page. distribution-spec "Listing Tags", "Listing Referrers". */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { allowMethods, answerJson, type Exchange } from "./exchange.ts";
import { RegistryError } from "./registry-error.ts";

const TAGS_PAGE = 10_000;
const REFERRERS_PAGE = 1000;
/** What clients take for a document; annotations can make a few entries long. */
const REFERRERS_BYTES = 2 * 1024 * 1024;

export async function handleTags(exchange: Exchange, name: string): Promise<void> {
  allowMethods(exchange, "GET");
  const { asked, query, options } = exchange;
  const limit = Math.min(countOf(query.get("n")), options.limits?.tagsPage ?? TAGS_PAGE);
  const all = await options.source.tags(name, asked);
  if (all === undefined) throw new RegistryError(404, "NAME_UNKNOWN", `no repository ${name}`);
  const last = query.get("last");
  const rest = last === null ? all : all.filter((tag) => tag > last);
  const tags = rest.slice(0, limit);
  const next = new URLSearchParams({ n: String(limit), last: tags.at(-1) ?? "" });
  const more = tags.length < rest.length && tags.length > 0;
  answerJson(exchange, 200, { name, tags }, more ? link(exchange, `tags/list?${next.toString()}`, name) : {});
}

/** @throws RegistryError 400 */
function countOf(text: string | null): number {
  if (text === null) return Infinity;
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new RegistryError(400, "UNSUPPORTED", "n is not a number of tags");
}

export async function handleReferrers(exchange: Exchange, name: string, digest: Digest): Promise<void> {
  allowMethods(exchange, "GET");
  const { asked, query, options } = exchange;
  const wanted = query.get("artifactType");
  const last = query.get("last") ?? "";
  const all = [...(await options.source.referrers(name, digest, asked))].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const rest = all.filter((entry) => entry.digest > last && (wanted === null || entry.artifactType === wanted));
  const manifests = pageOf(rest, options.limits?.referrersPage ?? REFERRERS_PAGE);
  const next = new URLSearchParams(query);
  next.set("last", manifests.at(-1)?.digest ?? "");
  const more = manifests.length < rest.length;
  const mediaType = MEDIA_TYPES.ociIndex;
  answerJson(
    exchange,
    200,
    { schemaVersion: 2, mediaType, manifests },
    {
      "content-type": mediaType,
      ...(wanted !== null && { "oci-filters-applied": "artifactType" }),
      ...(more && link(exchange, `referrers/${digest}?${next.toString()}`, name)),
    },
  );
}

/** As many as fit, one at least. */
function pageOf(entries: readonly Descriptor[], limit: number): Descriptor[] {
  const page: Descriptor[] = [];
  let bytes = 0;
  for (const entry of entries) {
    bytes += Buffer.byteLength(JSON.stringify(entry));
    if (page.length > 0 && (page.length >= limit || bytes > REFERRERS_BYTES)) break;
    page.push(entry);
  }
  return page;
}

function link({ asked }: Exchange, target: string, name: string): { readonly link: string } {
  const isNamed = asked.namespace !== undefined && !new URLSearchParams(target.split("?")[1]).has("ns");
  const ns = isNamed ? `&${new URLSearchParams({ ns: asked.namespace }).toString()}` : "";
  return { link: `</v2/${name}/${target}${ns}>; rel="next"` };
}
