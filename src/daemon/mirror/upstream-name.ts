/** Names of registries and of what they hold, as clients of a mirror write them. */
import { isDigest } from "../../oci/digest.ts";
import { isTag, parseReference, type Reference } from "../../oci/reference.ts";
import { credentialHost } from "../../registry/endpoint.ts";

/** Whether a name's first part is a host, by the rule that Docker has for names of images. */
export function isHostLike(part: string): boolean {
  return /[.:]/.test(part) || part === "localhost";
}

/**
 * A registry as image names have it: `docker.io` whichever of its names the Hub is called by.
 * @throws VarveError `REFERENCE_INVALID`
 */
export function upstreamHost(text: string): string {
  const { host, name } = parseReference(`${text}/name`, { defaultTag: false });
  // What is no host would be read as a part of a name on the Hub.
  if (name !== "name" && name !== "library/name") parseReference(`${text}:/name`);
  return credentialHost(host);
}

/**
 * A repository of a registry, from `HOST/NAME`; short names on the Hub are completed.
 * @throws VarveError `REFERENCE_INVALID`
 */
export function upstreamRepository(name: string): Reference {
  const slash = name.indexOf("/");
  const host = upstreamHost(name.slice(0, Math.max(slash, 0)));
  return parseReference(`${host}/${name.slice(slash + 1)}`, { defaultTag: false });
}

/** @returns the repository's reference with this tag or digest; undefined when it is neither */
export function withTarget({ host, name }: Reference, target: string): Reference | undefined {
  if (isDigest(target)) return { host, name, digest: target };
  return isTag(target) ? { host, name, tag: target } : undefined;
}
