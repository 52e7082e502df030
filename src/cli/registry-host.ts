/** The registry that a user means with `login HOST`, in whatever form it was copied from somewhere. */
import { VarveError } from "../errors/varve-error.ts";

/** Names of Docker Hub: of the images, of the website, of the API, of docker's own auth file. */
const DOCKER_HUB = new Set([
  "docker.io",
  "index.docker.io",
  "registry-1.docker.io",
  "hub.docker.com",
  "registry.hub.docker.com",
]);

/**
 * `https://Registry.Example:5000/` becomes `registry.example:5000`; all names of Docker Hub become `docker.io`.
 * @throws VarveError `USAGE` for what is no host
 */
export function normalizeRegistryHost(text: string): string {
  const [, authority = "", path = ""] = /^(?:https?:\/\/|docker:\/\/)?([^/]*)(\/.*)?$/i.exec(text.trim()) ?? [];
  if (text.includes("@")) {
    // Whoever writes USER:PASSWORD@HOST must not find it in a log.
    throw new VarveError("USAGE", "a registry's name holds no user and password", { hint: "give them with --creds" });
  }
  const host = authority.toLowerCase();
  if (!/^\/*(v[12]\/?)?$/.test(path)) {
    throw new VarveError("USAGE", `${JSON.stringify(text.slice(0, 160))} is more than a registry`, {
      hint: `credentials are kept for a whole registry: ${isHost(host) ? host : "HOST[:PORT]"}`,
    });
  }
  if (!isHost(host)) {
    throw new VarveError("USAGE", `not a registry: ${JSON.stringify(text.slice(0, 160))}`, {
      hint: "write it as HOST[:PORT]",
    });
  }
  return DOCKER_HUB.has(host) ? "docker.io" : host;
}

function isHost(text: string): boolean {
  const [, name = "", port] = /^(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?$/.exec(text) ?? [];
  return name !== "" && !name.includes("..") && (port === undefined || (Number(port) > 0 && Number(port) < 65_536));
}
