/** The configuration from where it stands: command line over environment over file over defaults. Nothing that is wrong is passed over. */
import { VarveError } from "../../errors/varve-error.ts";
import { readConfigFile } from "./config-file.ts";
import { defaultConfig } from "./defaults.ts";
import { CONFIG_KEYS, variableOf } from "./keys.ts";
import type { DaemonConfig } from "./types.ts";

/** Values of keys as a file would have them, with the name that an error calls each by. */
export type GivenValues = Readonly<Record<string, { readonly name: string; readonly value: unknown }>>;

export interface ConfigSources {
  /** Absolute path; must be there. Default: the user's or the system's file, if there is one. */
  readonly file?: string;
  /** Of the command line. */
  readonly flags?: GivenValues;
  readonly env: NodeJS.ProcessEnv;
  /** Sockets have been opened for the daemon, so that it needs none of its own. Default false. */
  readonly isActivated?: boolean;
  /** Default: who runs this process. */
  readonly user?: number;
}

/** @throws VarveError `CONFIGURATION_INVALID`, `FILE_NOT_FOUND`, `PERMISSION` */
export async function resolveConfig(sources: ConfigSources): Promise<DaemonConfig> {
  const { env, flags = {}, user = process.getuid?.() } = sources;
  const file = await readConfigFile({ env, user, ...(sources.file !== undefined && { path: sources.file }) });
  const given = new Map<string, unknown>();
  for (const { key, kind } of CONFIG_KEYS) {
    const found = flags[key] ?? fromEnvironment(key, env) ?? file.get(key);
    if (found === undefined) continue;
    const value = kind.read(found.value);
    if (value === undefined) {
      throw new VarveError("CONFIGURATION_INVALID", `${found.name} must be ${kind.allowed}${shown(key, found.value)}`);
    }
    given.set(key, value);
  }
  const defaults = defaultConfig(env, user);
  if (sources.isActivated !== true) return withDefaults(given, defaults);
  return withDefaults(given, { ...defaults, listen: { ...defaults.listen, socket: null } });
}

function fromEnvironment(key: string, env: NodeJS.ProcessEnv): { name: string; value: unknown } | undefined {
  const name = variableOf({ key });
  const text = env[name];
  // An empty variable is how shells and unit files take one away.
  if (text === undefined || text === "") return undefined;
  const kind = CONFIG_KEYS.find((row) => row.key === key)?.kind;
  return { name, value: text === "none" ? text : (kind?.fromText?.(text) ?? text) };
}

/** The value that was given, where it can hold no secret. */
function shown(key: string, value: unknown): string {
  return key === "jobs.queue" ? "" : `, not ${(JSON.stringify(value) ?? "nothing").slice(0, 80)}`;
}

function withDefaults(given: ReadonlyMap<string, unknown>, defaults: DaemonConfig): DaemonConfig {
  const config = structuredClone(defaults) as unknown as Record<string, unknown>;
  for (const [key, value] of given) {
    const names = key.split(".");
    const last = names.pop() as string;
    let table = config;
    for (const name of names) table = (table[name] ??= { clientCaFile: null }) as Record<string, unknown>;
    table[last] = value;
  }
  return consistent(config as unknown as DaemonConfig, given);
}

/** What single keys cannot say. */
function consistent(config: DaemonConfig, given: ReadonlyMap<string, unknown>): DaemonConfig {
  const { listen, mirror } = config;
  const { tls } = listen;
  if (tls !== null && (tls.certFile === undefined || tls.keyFile === undefined)) {
    throw new VarveError("CONFIGURATION_INVALID", "TLS needs both listen.tls.certFile and listen.tls.keyFile", {
      hint: "name the other one as well: --tls-cert and --tls-key",
    });
  }
  // Who names an address means that one; several daemons on a machine would else fight for the socket that nobody asked for.
  const socket = listen.address !== null && !given.has("listen.socket") ? null : listen.socket;
  const { defaultUpstream: host, upstreams } = mirror;
  const isNamed = host === null || upstreams.some((upstream) => upstream.host === host || upstream.host === "*");
  return {
    ...config,
    listen: { ...listen, socket },
    mirror: {
      ...mirror,
      upstreams: isNamed ? upstreams : [...upstreams, { host, credentials: true, passCredentials: false }],
    },
  };
}
