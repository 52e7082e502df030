/** One place where a repository can be read, and maybe written: the registry itself or a mirror, with all that is needed to talk to it. */
import { hasPort, isLoopback } from "./transport/loopback.ts";
import { DEFAULT_TLS, type TlsSettings } from "./transport/trust.ts";
import type { Headers } from "./transport/transport.ts";
import type { Settings } from "./options.ts";

export type Scheme = "https" | "http";

export interface Capabilities {
  /** Blobs, and manifests by digest. */
  readonly pull: boolean;
  /** What a tag means. */
  readonly resolve: boolean;
  readonly referrers: boolean;
  /** Whether it may be written to. */
  readonly push: boolean;
}

export interface Endpoint {
  /** `host[:port]` to connect to; also the name under which is remembered what was learned about it. */
  readonly host: string;
  /** Whose credentials apply: `docker.io` for the hosts of Docker Hub, else the same as `host`. */
  readonly credentialHost: string;
  /** To be tried in this order until one is spoken. */
  readonly schemes: readonly Scheme[];
  /** Path before `/<name>/manifests/...`, usually `/v2`. */
  readonly prefix: string;
  readonly repository: string;
  /** Extra headers from hosts.toml. */
  readonly headers: Headers;
  readonly tls: TlsSettings;
  readonly connectMs: number;
  /** Value of the `ns` query, for a proxy that serves several registries. */
  readonly namespace?: string;
  /** The registry that the reference names, as opposed to a mirror. */
  readonly upstream: boolean;
  /** Whether `--creds` was meant for it. */
  readonly ownCredentials: boolean;
  readonly capabilities: Capabilities;
}

export const ALL_CAPABILITIES: Capabilities = { pull: true, resolve: true, referrers: true, push: true };

const HUB_HOSTS = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"]);

/** Where the registry with this name really is. */
export function networkHost(host: string): string {
  return host === "docker.io" || host === "index.docker.io" ? "registry-1.docker.io" : host;
}

/** Under which name its credentials are kept. */
export function credentialHost(host: string): string {
  return HUB_HOSTS.has(host) ? "docker.io" : host;
}

/** An endpoint at a registry's own address, as the flags of the transport have it. */
export function directEndpoint(
  host: string,
  repository: string,
  settings: Settings,
  options: { tls?: TlsSettings; insecure?: boolean; upstream?: boolean; ownCredentials?: boolean } = {},
): Endpoint {
  const { tls = DEFAULT_TLS, upstream = true } = options;
  const insecure = options.insecure === true || settings.insecure === true;
  return {
    host: networkHost(host),
    credentialHost: credentialHost(host),
    schemes: schemesFor(host, settings.plainHttp === true && upstream, insecure),
    prefix: "/v2",
    repository,
    headers: {},
    tls: insecure ? { ...tls, verify: false } : tls,
    connectMs: settings.timeouts.connectMs,
    upstream,
    ownCredentials: options.ownCredentials ?? upstream,
    capabilities: { ...ALL_CAPABILITIES, push: upstream },
  };
}

function schemesFor(host: string, plainHttp: boolean, insecure: boolean): readonly Scheme[] {
  if (plainHttp) return ["http"];
  return insecure || isLoopback(host) ? ["https", "http"] : ["https"];
}

/** True when a refused connection may only mean that nothing listens on the port of https. */
export function portFollowsScheme(endpoint: Endpoint): boolean {
  return !hasPort(endpoint.host);
}
