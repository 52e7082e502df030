/** A mirror behind a bare HTTP server, over a store of its own: what the daemon has of it, without the daemon. */
import { createServer } from "node:http";
import { onTestFinished } from "vitest";
import { defaultConfig } from "../../../src/daemon/config/defaults.ts";
import type { DaemonConfig, MirrorConfig, UpstreamConfig } from "../../../src/daemon/config/types.ts";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import { registryHandler } from "../../../src/daemon/distribution/handler.ts";
import { storeRepositories } from "../../../src/daemon/distribution/store-repositories.ts";
import { Mirror } from "../../../src/daemon/mirror/mirror.ts";
import { routedSource } from "../../../src/daemon/mirror/route.ts";
import type { RegistryClient } from "../../../src/registry/client.ts";
import type { RegistryOptions } from "../../../src/registry/options.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { testClient } from "../http/test-client.ts";
import { callsTo, type Call } from "../net/call.ts";
import { listen } from "../net/listen.ts";
import { tempDir } from "../temp-dir.ts";

export interface TestMirrorOptions {
  /** Hosts, or how they are mirrored. Default: none. */
  readonly upstreams?: readonly (string | UpstreamConfig)[];
  readonly mirror?: Partial<MirrorConfig>;
  /** A store's root that is kept, and may be another's at the same time. Default: one that goes with the test. */
  readonly root?: string;
  readonly registry?: RegistryOptions;
  /** In the place of clients with `registry`'s options. */
  readonly openRegistry?: (more: RegistryOptions) => RegistryClient;
  readonly otherMs?: number;
  readonly now?: () => number;
}

export interface TestMirror {
  readonly host: string;
  readonly origin: string;
  readonly call: Call;
  readonly store: Store;
  readonly mirror: Mirror;
  /** `blob hit`, `manifest stale` ... in their order. */
  readonly cache: readonly string[];
  /** Body bytes of blobs that were sent. */
  readonly served: () => number;
  change(changes: Partial<MirrorConfig>): void;
  stop(): Promise<void>;
}

export async function startMirror(options: TestMirrorOptions): Promise<TestMirror> {
  const store = await openStore(options.root ?? (await ownRoot()), { sync: false });
  const stopping = new AbortController();
  const cache: string[] = [];
  let served = 0;
  let ports: number[] = [];
  let config: DaemonConfig = { ...defaultConfig({}), mirror: mirrorConfig(options) };
  const daemon: Daemon = {
    config: () => config,
    context: () => Promise.reject(new Error("a mirror asks for no context")),
    metrics: { ...SILENT, cache: (what, how) => void cache.push(`${what} ${how}`) },
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    stopping: stopping.signal,
    signal: stopping.signal,
  };
  const { otherMs, now, openRegistry = (more) => testClient({ ...options.registry, ...more }) } = options;
  const mirror = new Mirror({
    daemon,
    store,
    openRegistry,
    ownPorts: () => ports,
    ...(otherMs !== undefined && { otherMs }),
    ...(now !== undefined && { now }),
  });
  const repositories = storeRepositories(store);
  const handle = registryHandler({
    source: routedSource({ daemon, hosted: repositories, mirror, ownPorts: () => ports }),
    served: (bytes) => {
      served += bytes;
    },
    signal: stopping.signal,
  });
  const server = createServer((request, response) => void handle(request, response));
  const listening = await listen(server);
  const { host } = listening;
  ports = [listening.port];
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      stopping.abort(new Error("the mirror is stopped"));
      await mirror[Symbol.asyncDispose]();
      await listening.close();
      await store.close();
    })());
  onTestFinished(stop);
  const origin = `http://${host}`;
  return {
    host,
    origin,
    call: callsTo(() => origin),
    store,
    mirror,
    cache,
    served: () => served,
    change: (changes) => {
      config = { ...config, mirror: { ...config.mirror, ...changes } };
    },
    stop,
  };
}

async function ownRoot(): Promise<string> {
  const dir = await tempDir("varve-mirror-");
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return `${dir.path}/store`;
}

function mirrorConfig({ upstreams = [], mirror = {} }: TestMirrorOptions): MirrorConfig {
  const rules = upstreams.map((rule) =>
    typeof rule === "string" ? { host: rule, credentials: true, passCredentials: false } : rule,
  );
  return { ...defaultConfig({}).mirror, upstreams: rules, ...mirror };
}

const nothing = (): void => undefined;
const SILENT = {
  bytes: nothing,
  jobEnded: nothing,
  retried: nothing,
  fellBack: nothing,
  cache: nothing,
  served: nothing,
  queue: nothing,
};
