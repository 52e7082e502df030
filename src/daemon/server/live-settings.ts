/** What the daemon is told, as it is now: a reload puts another in its place if all of it is good, and none of it otherwise. */
import type { DaemonConfig } from "../config/types.ts";
import { readCertificates, type Certificates } from "./certificates.ts";
import { readTokens, type Tokens } from "./tokens.ts";

/** A configuration with what its files hold. */
export interface Settings {
  readonly config: DaemonConfig;
  readonly tokens: Tokens | undefined;
  readonly certificates: Certificates | undefined;
}

export interface LiveSettings {
  readonly now: () => Settings;
  /** What they would be now, and the keys that have changed and need a restart. @throws VarveError when any of it is wrong */
  read(): Promise<{ readonly next: Settings; readonly needRestart: readonly string[] }>;
  put(next: Settings): void;
}

/** @throws VarveError `CONFIGURATION_INVALID`, `FILE_NOT_FOUND`, `PERMISSION` */
export async function openSettings(configure: () => Promise<DaemonConfig>): Promise<LiveSettings> {
  let current = await readSettings(await configure());
  return {
    now: () => current,
    async read() {
      const wanted = await configure();
      const next = await readSettings(reloaded(current.config, wanted));
      return { next, needRestart: changedKeys(next.config, wanted) };
    },
    put(next) {
      current = next;
    },
  };
}

async function readSettings(config: DaemonConfig): Promise<Settings> {
  const { tokenFile, tls } = config.listen;
  const [tokens, certificates] = await Promise.all([
    tokenFile === null ? undefined : readTokens(tokenFile),
    readCertificates(tls),
  ]);
  return { config, tokens, certificates };
}

/** Where a daemon listens, and the queue that it has opened, stay as they are until it starts anew; all else is looked up when it is needed. */
function reloaded(now: DaemonConfig, wanted: DaemonConfig): DaemonConfig {
  const { tokenFile, noAuth } = now.listen;
  const { tls } = wanted.listen;
  // Whether there are tokens at all, or TLS, decides who may listen where.
  const staysTls = (tls === null) === (now.listen.tls === null);
  // A server asks for certificates or does not from its beginning.
  const staysCa = ((tls?.clientCaFile ?? null) === null) === ((now.listen.tls?.clientCaFile ?? null) === null);
  const staysTokens = (wanted.listen.tokenFile === null) === (tokenFile === null);
  return {
    ...wanted,
    listen: {
      ...now.listen,
      noAuth,
      tokenFile: staysTokens ? wanted.listen.tokenFile : tokenFile,
      tls: staysTls && staysCa ? tls : now.listen.tls,
    },
    limits: {
      ...wanted.limits,
      bodyBytes: now.limits.bodyBytes,
      headersMs: now.limits.headersMs,
      idleMs: now.limits.idleMs,
    },
    jobs: now.jobs,
  };
}

/** Names of what differs, as the configuration file has them. */
function changedKeys(now: object, wanted: object, prefix = ""): readonly string[] {
  const other = wanted as Readonly<Record<string, unknown>>;
  return Object.entries(now).flatMap(([name, value]) => {
    const key = prefix + name;
    const its = other[name];
    if (JSON.stringify(value) === JSON.stringify(its)) return [];
    const areTables = [value, its].every((one) => typeof one === "object" && one !== null && !Array.isArray(one));
    return areTables ? changedKeys(value as object, its as object, `${key}.`) : [key];
  });
}
