/**
 * The `Location` of an upload (distribution-spec "Pushing blobs"): relative or absolute, at this host or another, with a query that is
 * the registry's own and is given back as it came.
 */
import type { Digest } from "../../oci/digest.ts";
import type { SessionAnswer } from "../session.ts";
import { RegistryFailure } from "../transport/failure.ts";
import { header } from "../transport/transport.ts";

const LONGEST = 8 * 1024;

/**
 * Where the answer says to go on; undefined when it does not.
 *
 * @throws VarveError `REGISTRY_PROTOCOL` for what is no address of a registry, or leads out of TLS
 */
export function nextLocation(answer: SessionAnswer, subject: string): URL | undefined {
  const text = header(answer.headers, "location");
  if (text === undefined || text === "") return undefined;
  const from = answer.url;
  const url = text.length <= LONGEST && URL.canParse(text, from) ? new URL(text, from) : undefined;
  const isWeb = url?.protocol === "https:" || url?.protocol === "http:";
  if (url === undefined || !isWeb) throw misled(from.host, subject, "to no address of a registry");
  // Credentials in a URL would become an Authorization header at its host.
  url.username = "";
  url.password = "";
  url.hash = "";
  if (from.protocol !== "https:" || url.protocol === "https:") return url;
  // Registries behind a proxy that ends TLS think that they are spoken to in clear text.
  if (url.hostname === from.hostname) return new URL(url.pathname + url.search, from);
  throw misled(from.host, subject, `from https to plain http at ${url.host}`);
}

/** The same address with the digest that ends the upload; what else is in the query stays as it was written. */
export function closingLocation(location: URL, digest: Digest): URL {
  const url = new URL(location);
  url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}

function misled(host: string, subject: string, where: string): RegistryFailure {
  return new RegistryFailure("REGISTRY_PROTOCOL", `${subject}: ${host} sends the upload ${where}`, {
    detail: { host },
  });
}
