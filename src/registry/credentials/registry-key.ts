/** Under which names one registry's account may stand in a credential file. */

/** Docker's key for Docker Hub, in `auths` and for credential helpers. */
export const HUB_KEY = "https://index.docker.io/v1/";

/** A key of `auths` or `credHelpers` reduced to `host[:port][/path]`; Docker writes URLs with `/v1/` or `/v2/`. */
export function normalizeKey(key: string): string {
  const bare = key.replace(/^https?:\/\//i, "").replace(/\/+$/, "");
  const [host = "", ...path] = bare.split("/");
  const rest = /^https?:\/\//i.test(key) || path[0] === "v1" || path[0] === "v2" ? [] : path;
  return [hubHost(host.toLowerCase()), ...rest].join("/");
}

/** The keys to look up for a repository, longest first: `host/ns/repo`, `host/ns`, `host`. */
export function keysFor(host: string, repository: string): string[] {
  const parts = [hubHost(host), ...repository.split("/").filter((part) => part !== "")];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
}

/** How a credential helper or `auths` names the host. */
export function serverKey(host: string): string {
  return hubHost(host) === "docker.io" ? HUB_KEY : host;
}

function hubHost(host: string): string {
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}
