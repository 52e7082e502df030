/** Tags and referrers, page by page. distribution-spec "Listing Tags", "Listing Referrers". */
import type { Digest } from "../../../src/oci/digest.ts";
import { allowMethods, answerJson, type Exchange } from "./exchange.ts";
import { RegistryError } from "./registry-error.ts";

export async function handleTags(exchange: Exchange, name: string): Promise<void> {
  allowMethods(exchange, "GET");
  const { disk, query, quirks } = exchange;
  const all = await disk.tags(name);
  if (all === undefined) throw new RegistryError(404, "NAME_UNKNOWN", `no repository ${name}`);
  const last = query.get("last");
  const rest = last === null ? all : all.filter((tag) => tag > last);
  const asked = query.get("n");
  const limit = Math.min(asked === null ? Infinity : Number(asked), quirks.tagsPage ?? Infinity);
  if (Number.isNaN(limit) || limit < 0) throw new RegistryError(400, "UNSUPPORTED", `invalid n: ${asked}`);
  const tags = rest.slice(0, limit);
  const next = new URLSearchParams({ n: String(limit), last: tags.at(-1) ?? "" });
  const more = tags.length < rest.length && tags.length > 0;
  answerJson(exchange, 200, { name, tags }, more ? link(`/v2/${name}/tags/list?${next.toString()}`) : {});
}

export async function handleReferrers(exchange: Exchange, name: string, digest: Digest): Promise<void> {
  allowMethods(exchange, "GET");
  const { disk, query, quirks } = exchange;
  if (quirks.referrers === false) throw new RegistryError(404, "UNSUPPORTED", "no referrers API");
  if (typeof quirks.referrers === "number") throw new RegistryError(quirks.referrers, "UNKNOWN", "not today");
  const wanted = quirks.referrersFilter === false ? null : query.get("artifactType");
  const all = await disk.referrers(name, digest);
  const matching = wanted === null ? all : all.filter((descriptor) => descriptor.artifactType === wanted);
  const from = Number(query.get("from") ?? 0);
  const to = from + (quirks.referrersPage ?? Infinity);
  const next = new URLSearchParams(query);
  next.set("from", String(to));
  const headers = {
    "content-type": "application/vnd.oci.image.index.v1+json",
    ...(wanted !== null && { "oci-filters-applied": "artifactType" }),
    ...(to < matching.length && link(`/v2/${name}/referrers/${digest}?${next.toString()}`)),
  };
  const mediaType = headers["content-type"];
  answerJson(exchange, 200, { schemaVersion: 2, mediaType, manifests: matching.slice(from, to) }, headers);
}

function link(target: string): { readonly link: string } {
  return { link: `<${target}>; rel="next"` };
}
