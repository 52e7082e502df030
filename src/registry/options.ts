/** What a registry client can be told, and the one place where its defaults are resolved. */
import type { Credentials } from "./auth/authorizer.ts";
import { systemClock, type Clock } from "./clock.ts";

export interface Timeouts {
  /** Until a connection stands, TLS included. Default: 30,000. */
  readonly connectMs: number;
  /** Until the response's headers are there. Default: 60,000. */
  readonly headersMs: number;
  /** Between two pieces of a body while the consumer is waiting for them. Default: 60,000. */
  readonly idleBodyMs: number;
}

export interface RegistryOptions {
  /** Plain HTTP for the registry that is named; mirrors say for themselves what they speak. */
  readonly plainHttp?: boolean;
  /** Accept any certificate, and plain HTTP where TLS is not spoken. */
  readonly insecure?: boolean;
  /** PEM file of authorities to trust besides the system's. */
  readonly caFile?: string;
  /** PEM files of the client's certificate and key; shown only to the registry that is named. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** The only credential file to read. Default: see credentials/locations.ts. */
  readonly authFile?: string;
  /** For one registry, the first that is asked for unless {@link RegistryClient.reserveCredentials} says which; never for its mirrors. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** In place of the files, the programs and `credentials`: who is asked for accounts. Default: they are. */
  readonly accounts?: Credentials;
  /** Sent as `Via` with every request, by who asks for others. Default: nothing. */
  readonly via?: string;
  /** Whether an address may be connected to, also where a redirect leads. Not asked where a proxy connects. Default: any. */
  readonly allowAddress?: (address: string) => boolean;
  /** Directory of containerd-style `<host>/hosts.toml`, or several joined by `:`. Default: none. */
  readonly hostsDir?: string;
  /** Default: `CONTAINERS_REGISTRIES_CONF`, the user's or the system's `containers/registries.conf`; false reads none. */
  readonly registriesConf?: string | false;
  /** Further attempts without progress in between. Default: 5. */
  readonly retries?: number;
  /** Milliseconds without progress after which no further attempt starts. Default: 15 minutes. */
  readonly retryMaxTimeMs?: number;
  /** Bytes per second for all bodies together. Default: no limit. */
  readonly limitRate?: number;
  /** Connections to one origin. Default: 10. */
  readonly connectionsPerHost?: number;
  readonly timeouts?: Partial<Timeouts>;
  /** Time that a credential helper may take, in milliseconds. Default: 30,000. */
  readonly credentialHelperMs?: number;
  /** Default: the process's. */
  readonly env?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
}

export interface Settings extends RegistryOptions {
  readonly retries: number;
  readonly retryMaxTimeMs: number;
  readonly connectionsPerHost: number;
  readonly timeouts: Timeouts;
  readonly credentialHelperMs: number;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
}

export function resolveSettings(options: RegistryOptions): Settings {
  return {
    ...options,
    retries: options.retries ?? 5,
    retryMaxTimeMs: options.retryMaxTimeMs ?? 15 * 60_000,
    connectionsPerHost: options.connectionsPerHost ?? 10,
    timeouts: { connectMs: 30_000, headersMs: 60_000, idleBodyMs: 60_000, ...options.timeouts },
    credentialHelperMs: options.credentialHelperMs ?? 30_000,
    env: options.env ?? process.env,
    clock: options.clock ?? systemClock,
  };
}
