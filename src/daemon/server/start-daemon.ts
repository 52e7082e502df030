/** Composes the daemon of its parts, starts it, and ends it in good order. */
import { VarveError } from "../../errors/varve-error.ts";
import type { RegistryClient } from "../../registry/client.ts";
import type { RegistryOptions } from "../../registry/options.ts";
import { programVersion } from "../../sys/program-version.ts";
import type { DaemonConfig } from "../config/types.ts";
import type { Daemon } from "../daemon.ts";
import { openMetrics } from "../metrics/prometheus.ts";
import { openAudit } from "./audit.ts";
import { buildApp } from "./app.ts";
import { compose } from "./compose.ts";
import { lockStore } from "./daemon-lock.ts";
import { openEntrances, type Entrances } from "./entrances.ts";
import { openGate, type Gate } from "./gate.ts";
import { idleWatch } from "./idle-watch.ts";
import { takeInherited } from "./inherited.ts";
import { openSettings } from "./live-settings.ts";
import { openNotifier } from "./notifier.ts";
import { reload } from "./reload.ts";
import { openLog, type DaemonLog } from "./log.ts";
import { rateLimits } from "./rate-limits.ts";
import { storeBytes } from "./store-bytes.ts";
import { tellEnd } from "./tell-end.ts";

/** @param facts.isActivated systemd has opened sockets for the daemon, so that it needs none of its own */
type Configure = (facts: { readonly isActivated: boolean }) => Promise<DaemonConfig>;

export interface DaemonParts {
  /** What it is told: asked for at the start and at each reload. */
  readonly configure: Configure;
  readonly context: Daemon["context"];
  /** A registry client as that of the context, told what is said beside; closed by who asked for it. */
  readonly openRegistry: (more: RegistryOptions) => RegistryClient;
  /** Takes the log's lines. Default: stderr. */
  readonly write?: (line: string) => void;
  /** Where systemd says what it has opened and wants to be told. Default: nowhere. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface RunningDaemon extends AsyncDisposable {
  /** `HOST:PORT` that it listens at; null without TCP. */
  readonly address: string | null;
  /** Path of its Unix socket; null without. */
  readonly socket: string | null;
  /** Reads its configuration again. What is wrong stands in the log, and nothing has changed then. */
  reload(): Promise<void>;
  /** Gives answers under way their time, then ends what is left. Settles when all is closed; asked again it is the same end. */
  stop(): Promise<void>;
}

/** @throws VarveError `CONFIGURATION_INVALID`, `DAEMON_RUNNING`, `LISTEN_FAILED`, `STORE_*` ... */
export async function startDaemon(parts: DaemonParts): Promise<RunningDaemon> {
  await using opened = new AsyncDisposableStack();
  const inherited = parts.env === undefined ? [] : takeInherited(parts.env);
  const settings = await openSettings(() => parts.configure({ isActivated: inherited.length > 0 }));
  const config = (): DaemonConfig => settings.now().config;
  const log = await openLog(config().log.level, parts.write ?? ((line) => void process.stderr.write(line)));
  const stopping = new AbortController();
  const ending = new AbortController();
  const context = parts.context;
  const { store } = await context({ signal: ending.signal, onProgress: () => undefined });
  const { directory } = opened.use(await lockStore(store.root));
  const version = await programVersion();
  const metrics = await openMetrics({ version, storeBytes: () => storeBytes(context, ending.signal) });
  const audit = opened.use(openAudit(config().log.auditFile, log, () => metrics.auditFailed()));
  const notifier = opened.use(openNotifier(parts.env ?? {}, log));
  let ports: readonly number[] = [];
  const { registry, plugins } = await compose(
    {
      daemon: { config, context, metrics, stopping: stopping.signal, signal: ending.signal },
      log,
      store,
      directory,
      version,
      openRegistry: parts.openRegistry,
      ownPorts: () => ports,
    },
    opened,
  );
  // Before all of these are closed, also where the daemon gets no further.
  const abort = (): void => {
    stopping.abort(new VarveError("INTERRUPTED", "the daemon stops"));
    ending.abort(stopping.signal.reason);
  };
  opened.defer(abort);

  const idle = idleWatch();
  const gate: Gate = openGate({
    limits: () => config().limits,
    keys: () => settings.now(),
    rates: rateLimits(() => config().limits.requestsPerSecond),
    metrics,
    isStopping: () => stopping.signal.aborted,
    onEnd(visit, request, response) {
      tellEnd({ log, audit, metrics }, visit, request, response);
      if (gate.active === 0) idle.tell();
    },
    registry,
    routes: (request, response) => app.routing(request, response),
  });
  const app = await buildApp({
    bodyBytes: config().limits.bodyBytes,
    log,
    metrics,
    admit: (request, visit) => gate.admit(request, visit),
    plugins,
  });
  opened.defer(() => app.close());
  const { certificates } = settings.now();
  const entrances = await openEntrances({ config: config(), certificates, inherited, gate });
  opened.defer(() => entrances.close());
  ports = entrances.addresses.map((address) => Number(/\d+$/.exec(address)?.[0]));
  tellWhere(log, entrances);
  const status = `listening at ${[...entrances.addresses, ...entrances.sockets].join(", ")}`;
  notifier.ready(status);

  const owned = opened.move();
  const reloadAfter = async (earlier: Promise<void>): Promise<void> => {
    await earlier;
    if (stopping.signal.aborted) return;
    notifier.reloading();
    await reload({ settings, log, entrances, audit });
    notifier.ready(status);
  };
  let reloading = Promise.resolve();
  let ended: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    log.info({ requests: gate.active }, "stopping");
    notifier.stopping();
    stopping.abort(new VarveError("INTERRUPTED", "the daemon stops"));
    entrances.stopListening();
    if (gate.active > 0) await idle.within(config().limits.graceMs);
    abort();
    await owned.disposeAsync();
    log.info({}, "stopped");
  };
  const stop = (): Promise<void> => (ended ??= end());
  return {
    address: entrances.addresses[0] ?? null,
    socket: entrances.sockets[0] ?? null,
    reload() {
      // One after the other, so that the last one that was asked for is what holds in the end.
      return (reloading = reloadAfter(reloading));
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function tellWhere(log: DaemonLog, { addresses, sockets }: Entrances): void {
  for (const address of addresses) log.info({ address }, "listening");
  for (const socket of sockets) log.info({ socket }, "listening");
}
