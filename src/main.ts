/**
 * The composition root: the command line gets its use cases, and these their store, registry client and threads. Whatever is
 * heavy is imported when a command first needs it, so that `varve version` starts about as fast as Node does.
 */
import { processHost } from "./cli/process-host.ts";
import { run } from "./cli/run.ts";
import type { Run, Services } from "./cli/services.ts";
import type { Settings } from "./cli/settings.ts";
import type { WorkerOptions } from "./daemon/jobs/worker/run-worker.ts";
import { VarveError } from "./errors/varve-error.ts";
import type { CredentialFileOptions } from "./registry/credentials/credential-file.ts";
import type { StoreOptions } from "./store/store.ts";
import type { TransferContext } from "./transfer/context.ts";

/** Runs the program in this process, to its end. */
export async function main(): Promise<void> {
  const host = processHost();
  // Node warns of its experimental parts; on stderr that would stand among progress events, and it tells users nothing.
  if (!host.args.includes("--debug")) process.removeAllListeners("warning");
  host.exit(await run(host, connect));
}

/** The use cases on the store and the registries that the settings name. */
export function connect(settings: Settings, bound: Run): Services {
  const { signal } = bound;
  const opened = new AsyncDisposableStack();
  const registry = once(async () => {
    const { RegistryClient } = await import("./registry/client.ts");
    return opened.use(new RegistryClient(settings.transport));
  });
  const encoders = once(async () => {
    const { ChunkPool } = await import("./workers/chunk-pool.ts");
    return opened.use(new ChunkPool());
  });
  const deltaThreads = once(async () => {
    const { DeltaPool } = await import("./workers/delta-pool.ts");
    return opened.use(new DeltaPool());
  });
  const local = memoized(async (options: StoreOptions): Promise<TransferContext> => {
    const [{ openStore }, { ThreadsOnDemand }, { snapshotterFor }] = await Promise.all([
      import("./store/store.ts"),
      import("./workers/threads-on-demand.ts"),
      import("./transfer/snapshotter.ts"),
    ]);
    const store = opened.use(await openStore(settings.root, options));
    const { snapshotter, decompressor, jobs } = settings.unpacking;
    const threads = opened.use(new ThreadsOnDemand({ decompressor, ...(jobs !== undefined && { unpackJobs: jobs }) }));
    return {
      ...bound,
      store,
      threads,
      snapshotter: snapshotterFor(store, snapshotter, options),
      registry: NO_REGISTRY,
      openRegistry: registry,
      encoders,
      deltaThreads,
    };
  });
  const online = async (options: StoreOptions): Promise<TransferContext> => {
    return { ...(await local(options)), registry: await registry() };
  };
  /** Plans, lists and copies to elsewhere make nothing in the store, not even the store. */
  const reading = { readOnly: true };
  const reclaiming = { reclaims: true };
  const managing = once(() => import("./transfer/manage-snapshots.ts"));
  const rdiff = once(() => import("./delta/rdiff/rdiff.ts"));
  const source = (image: string, options: StoreOptions): Promise<TransferContext> =>
    image.startsWith("docker://") ? online(options) : local(options);
  return {
    async pull(reference, { sync = true, ...options }) {
      const { pull } = await import("./transfer/pull.ts");
      return pull(await online(options.plan === true ? reading : { sync }), reference, options);
    },
    async applyDeltaImage(name, options) {
      const { applyDeltaImage } = await import("./transfer/deltas/apply-delta.ts");
      return applyDeltaImage(await online({}), name, options);
    },
    async unpack(image, ...rest) {
      const { unpack } = await import("./transfer/unpack.ts");
      return unpack(await source(image, reading), image, ...rest);
    },
    async copyImage(from, to, options) {
      const { copyImage } = await import("./transfer/copy.ts");
      const context = to.startsWith("docker://") ? online : (given: StoreOptions) => source(from, given);
      return copyImage(await context(isElsewhere(to) ? reading : {}), from, to, options);
    },
    async pushImage(image, options) {
      const { pushImage } = await import("./transfer/push.ts");
      // Layers that are compressed another way wait in the store's directory to be sent.
      const makes = options?.compression !== undefined && options.compression !== "keep";
      return pushImage(await online(makes ? {} : reading), image, options);
    },
    async convertImage(from, to, options) {
      const { convertImage } = await import("./transfer/convert.ts");
      const context = to.startsWith("docker://") ? online : (given: StoreOptions) => source(from, given);
      return convertImage(await context({}), from, to, options);
    },
    async inspectImage(image, options) {
      const { inspectImage } = await import("./transfer/images.ts");
      return inspectImage(await source(image, reading), image, options);
    },
    async rawDocument(image, ...rest) {
      const { rawDocument } = await import("./transfer/images.ts");
      return rawDocument(await source(image, reading), image, ...rest);
    },
    listImages: async () => (await import("./transfer/images.ts")).listImages(await local(reading)),
    tagImage: async (...args) => (await import("./transfer/images.ts")).tagImage(await local({}), ...args),
    removeImages: async (...args) =>
      (await import("./transfer/images.ts")).removeImages(await local(reclaiming), ...args),
    diffSnapshot: async (...args) =>
      (await import("./transfer/diff-snapshot.ts")).diffSnapshot(await local({}), ...args),
    saveDiff: async (...args) => (await import("./transfer/diff-snapshot.ts")).saveDiff(await local({}), ...args),
    commitImage: async (...args) => (await import("./transfer/commit-image.ts")).commitImage(await local({}), ...args),
    async composeDeltas(first, second, options) {
      const { composeDeltas } = await import("./transfer/deltas/compose/compose-deltas.ts");
      const isAway = [first, second].some((name) => name.startsWith("docker://")) || options?.push !== undefined;
      return composeDeltas(await (isAway ? online({}) : local({})), first, second, options);
    },
    async createDelta(base, target, options) {
      const { createDelta } = await import("./transfer/deltas/create.ts");
      return createDelta(await (options?.push === undefined ? local({}) : online({})), base, target, options);
    },
    async inspectDelta(image, options) {
      const { inspectDelta } = await import("./transfer/deltas/inspect.ts");
      return inspectDelta(await source(image, reading), image, options);
    },
    async mountImage(...args) {
      const { mountImage } = await import("./transfer/mount-image.ts");
      return mountImage(await online({}), ...args);
    },
    async unmountImage(...args) {
      const { unmountImage } = await import("./transfer/mount-image.ts");
      return unmountImage(await local({}), ...args);
    },
    listSnapshots: async () => (await managing()).listSnapshots(await local(reading)),
    listDrivers: async () => (await managing()).listDrivers(await local({})),
    prepareSnapshot: async (...args) => (await managing()).prepareSnapshot(await online({}), ...args),
    commitSnapshot: async (...args) => (await managing()).commitSnapshot(await local({}), ...args),
    snapshotMounts: async (...args) => (await managing()).snapshotMounts(await local({}), ...args),
    snapshotUsage: async (...args) => (await managing()).snapshotUsage(await local(reading), ...args),
    removeSnapshots: async (...args) => (await managing()).removeSnapshots(await local(reclaiming), ...args),
    diskUsage: async () => (await import("./transfer/disk-usage.ts")).diskUsage(await local(reading)),
    async collectGarbage(options) {
      const { collectGarbage } = await import("./transfer/gc.ts");
      return collectGarbage(await local(options?.dryRun === true ? reading : reclaiming), options);
    },
    async prune(options) {
      const { prune } = await import("./transfer/prune.ts");
      return prune(await local(options?.dryRun === true ? reading : reclaiming), options);
    },
    async checkStore(options) {
      const { checkStore } = await import("./transfer/fsck.ts");
      return checkStore(options?.repair === true ? await online({}) : await local(reading), options);
    },
    importDisk: async (...args) =>
      (await import("./transfer/disks/import-disk.ts")).importDisk(await local({}), ...args),
    async copyDisk(from, to, options) {
      const { copyDisk } = await import("./disk/copy.ts");
      return copyDisk(from, to, { ...options, ...bound });
    },
    exportMachine: async (...args) =>
      (await import("./transfer/disks/export.ts")).exportMachine(await local({}), ...args),
    exportDisk: async (...args) => (await import("./transfer/disks/export.ts")).exportDisk(await local({}), ...args),
    diskInformation: async (...args) =>
      (await import("./transfer/disks/info.ts")).diskInformation(await local(reading), ...args),
    cloneMachine: async (...args) => (await import("./transfer/disks/clone.ts")).cloneMachine(await local({}), ...args),
    rdiffSignature: async (basis, output, options) =>
      (await rdiff()).rdiffSignature(basis, output, { ...options, ...bound }),
    rdiffDelta: async (signature, target, output, options) =>
      (await rdiff()).rdiffDelta(signature, target, output, { ...options, ...bound }),
    rdiffDiff: async (basis, target, output, options) =>
      (await rdiff()).rdiffDiff(basis, target, output, { ...options, ...bound }),
    rdiffPatch: async (basis, delta, output, options) =>
      (await rdiff()).rdiffPatch(basis, delta, output, { ...options, ...bound }),
    async serve({ file, given }) {
      const [{ startDaemon }, { resolveConfig }, { RegistryClient }] = await Promise.all([
        import("./daemon/server/start-daemon.ts"),
        import("./daemon/config/resolve-config.ts"),
        import("./registry/client.ts"),
      ]);
      const { env } = process;
      return startDaemon({
        configure: ({ isActivated }) =>
          resolveConfig({ env, isActivated, flags: given, ...(file !== undefined && { file }) }),
        context: async (run) => ({ ...(await online({})), ...run }),
        openRegistry: (more) => new RegistryClient({ ...settings.transport, ...more }),
        env,
      });
    },
    async work({ url = process.env["VARVE_QUEUE"] ?? "", ...options }) {
      const { runWorker } = await import("./daemon/jobs/worker/run-worker.ts");
      const context: WorkerOptions["context"] = async (run) => ({ ...(await online({})), ...run });
      return runWorker({ ...options, url, context, signal });
    },
    checkLogin: async (host, credentials) => (await registry()).checkLogin(host, credentials, { signal }),
    async storeCredentials(host, credentials) {
      const { storeCredentials } = await import("./registry/credentials/credential-file.ts");
      return storeCredentials(host, credentials, credentialFiles(settings));
    },
    async eraseCredentials(host) {
      const { eraseCredentials } = await import("./registry/credentials/credential-file.ts");
      return eraseCredentials(host, credentialFiles(settings));
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Use cases on the store alone get this one: loading the real one would be half of the time they take. */
const NO_REGISTRY = new Proxy({} as TransferContext["registry"], {
  get(_, name) {
    throw new VarveError("INTERNAL", `a use case on the store alone asked for a registry (${String(name)})`);
  },
});

/** One result per options, however often it is asked for. */
function memoized<Options extends object, Result>(make: (options: Options) => Promise<Result>): typeof make {
  const made = new Map<string, Promise<Result>>();
  return (options) => {
    const key = JSON.stringify(options);
    const result = made.get(key) ?? make(options);
    made.set(key, result);
    return result;
  };
}

/** Whether a copy goes to a registry, layout or archive, so that no store has to be made for it. */
function isElsewhere(destination: string): boolean {
  return /^(oci:|oci-archive:|docker-archive:|docker:\/\/)/.test(destination);
}

function credentialFiles({ transport: { authFile } }: Settings): CredentialFileOptions {
  return { env: process.env, ...(authFile !== undefined && { authFile }) };
}

function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opening: Promise<T> | undefined;
  return () => (opening ??= open());
}
