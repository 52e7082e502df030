/** A daemon in this process, on a store of its own, for tests that talk HTTP to it. */
import { onTestFinished } from "vitest";
import { defaultConfig } from "../../../src/daemon/config/defaults.ts";
import type { DaemonConfig } from "../../../src/daemon/config/types.ts";
import { withChanges, type ConfigChanges } from "../../../src/daemon/config/with-changes.ts";
import { startDaemon, type RunningDaemon } from "../../../src/daemon/server/start-daemon.ts";
import { openVarve, RegistryClient, type VarveOptions } from "../../../src/index.ts";
import type { Store } from "../../../src/store/store.ts";
import { fakeClock } from "../http/fake-clock.ts";
import { NO_HOME } from "../http/test-client.ts";
import { callsTo, type Call } from "../net/call.ts";
import { tempDir } from "../temp-dir.ts";

export interface TestDaemonOptions {
  readonly config?: ConfigChanges;
  /** Hosts that it mirrors; loopback ones are spoken to in plain HTTP. */
  readonly upstreams?: readonly string[];
  /** An absolute path; kept. Default: a new store that goes with the test. */
  readonly root?: string;
  /** Laid over a client that reads nothing of this machine and does not wait between retries. */
  readonly registry?: VarveOptions["registry"];
  /** Default `none`. */
  readonly snapshotter?: VarveOptions["snapshotter"];
  readonly env?: NodeJS.ProcessEnv;
}

export interface TestDaemon extends RunningDaemon {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly root: string;
  /** The daemon's own. */
  readonly store: Store;
  readonly call: Call;
  /** The lines of its log so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** Reads this at the next reload. */
  change(changes: ConfigChanges): void;
}

/** Ended when the test that asked for it has finished. TCP on a free loopback port, open to all, no Unix socket, unless told otherwise. */
export async function startTestDaemon(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const root = options.root ?? (await ownRoot());
  const registry = { registriesConf: false, env: NO_HOME, clock: fakeClock(), ...options.registry } as const;
  const varve = await openVarve({
    root,
    threads: 0,
    snapshotter: options.snapshotter ?? "none",
    store: { sync: false },
    registry,
  });
  const log: Readonly<Record<string, unknown>>[] = [];
  let config = withChanges(baseConfig(options), options.config ?? {});
  try {
    const daemon = await startDaemon({
      configure: () => Promise.resolve(config),
      context: (run) => Promise.resolve({ ...varve, ...run }),
      openRegistry: (more) => new RegistryClient({ ...registry, ...more }),
      write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>),
      ...(options.env !== undefined && { env: options.env }),
    });
    const stop = async (): Promise<void> => {
      await daemon.stop();
      await varve[Symbol.asyncDispose]();
    };
    onTestFinished(stop);
    const host = daemon.address ?? "";
    const origin = `${config.listen.tls === null ? "http" : "https"}://${host}`;
    return {
      ...daemon,
      stop,
      [Symbol.asyncDispose]: stop,
      host,
      origin,
      root,
      store: varve.store,
      call: callsTo(() => origin),
      log,
      change: (changes) => {
        config = withChanges(config, changes);
      },
    };
  } catch (error) {
    await varve[Symbol.asyncDispose]();
    throw error;
  }
}

async function ownRoot(): Promise<string> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return `${dir.path}/store`;
}

function baseConfig({ upstreams = [] }: TestDaemonOptions): DaemonConfig {
  const config = defaultConfig({});
  return {
    ...config,
    listen: { ...config.listen, socket: null, address: "127.0.0.1:0", noAuth: true },
    mirror: {
      ...config.mirror,
      upstreams: upstreams.map((host) => ({ host, credentials: true, passCredentials: false })),
    },
    limits: { ...config.limits, graceMs: 1000 },
    log: { ...config.log, level: "debug" },
  };
}
