/** The parts of the daemon that answer requests, each given what it needs of the others. */
import { join } from "node:path";
import type { FastifyPluginAsync } from "fastify";
import type { RegistryClient } from "../../registry/client.ts";
import type { RegistryOptions } from "../../registry/options.ts";
import type { Store } from "../../store/store.ts";
import type { Daemon } from "../daemon.ts";
import { registryHandler } from "../distribution/handler.ts";
import { storeRepositories } from "../distribution/store-repositories.ts";
import { Uploads } from "../distribution/uploads.ts";
import { Mirror } from "../mirror/mirror.ts";
import { routedSource } from "../mirror/route.ts";
import { publicly } from "./app.ts";
import type { Handler } from "./gate.ts";
import type { DaemonLog } from "./log.ts";

export interface ComposeParts {
  readonly daemon: Omit<Daemon, "log">;
  readonly log: DaemonLog;
  readonly store: Store;
  /** Of what belongs to the daemon alone. */
  readonly directory: string;
  readonly version: string;
  /** A client as the store's own, told what is said beside. */
  readonly openRegistry: (more: RegistryOptions) => RegistryClient;
  /** TCP ports that the daemon listens on. */
  readonly ownPorts: () => readonly number[];
}

export interface Composed {
  readonly registry: Handler;
  readonly plugins: readonly FastifyPluginAsync[];
}

/** What has to be closed is put on the stack. @throws VarveError when the jobs' queue cannot be opened */
export async function compose(parts: ComposeParts, opened: AsyncDisposableStack): Promise<Composed> {
  const { log, store, directory, openRegistry, ownPorts, version } = parts;
  const daemonFor = (part: string): Daemon => ({ ...parts.daemon, log: log.child({ part }) });
  const mirror = opened.use(new Mirror({ daemon: daemonFor("mirror"), store, openRegistry, ownPorts }));
  const hosted = storeRepositories(store);
  const registry = daemonFor("registry");
  const uploads = new Uploads({ directory: join(directory, "uploads") });
  // What an earlier daemon left, though nobody may push to this one.
  await uploads.sweep().catch(() => undefined);
  const handler = registryHandler({
    source: routedSource({ daemon: registry, hosted, mirror, ownPorts }),
    repositories: hosted,
    uploads,
    allows: () => registry.config().allowPush,
    served: (bytes) => registry.metrics.served(bytes),
    signal: registry.signal,
    log: registry.log,
  });
  const [{ startJobs }, { apiRoutes }, { pageRoutes }] = await Promise.all([
    import("../jobs/start-jobs.ts"),
    import("../api/api-routes.ts"),
    import("../page/page-routes.ts"),
  ]);
  // Jobs need no time to end: they are put back, and go on where they were when the daemon starts anew.
  const jobs = opened.use(await startJobs({ ...daemonFor("jobs"), signal: parts.daemon.stopping }, { directory }));
  return {
    registry: (request, response) => void handler(request, response),
    plugins: [
      apiRoutes({ daemon: daemonFor("api"), jobs, version }),
      publicly(async (scope) => {
        await pageRoutes(scope);
      }),
    ],
  };
}
