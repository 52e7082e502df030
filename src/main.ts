/**
 * The composition root: the command line gets its use cases, and these their store, registry client and threads. Whatever is
 * heavy is imported when a command first needs it, so that `varve version` starts about as fast as Node does.
 */
import { processHost } from "./cli/process-host.ts";
import { run } from "./cli/run.ts";
import type { Run, Services } from "./cli/services.ts";
import type { Settings } from "./cli/settings.ts";
import type { RegistryClient } from "./registry/client.ts";
import type { CredentialFileOptions } from "./registry/credentials/credential-file.ts";
import type { StoreOptions } from "./store/store.ts";
import type { TransferContext } from "./transfer/context.ts";

/** Runs the program in this process, to its end. */
export async function main(): Promise<void> {
  const host = processHost();
  host.exit(await run(host, connect));
}

/** The use cases on the store and the registries that the settings name. */
function connect(settings: Settings, { signal, onProgress }: Run): Services {
  const opened = new AsyncDisposableStack();
  const registry = once(async () => opened.use(await openRegistry(settings)));
  const threads = once(async () => opened.use(await openThreads()));
  const context = async (store: StoreOptions): Promise<TransferContext> => ({
    store: opened.use(await (await import("./store/store.ts")).openStore(settings.root, store)),
    registry: await registry(),
    threads: await threads(),
    signal,
    onProgress,
  });
  const reading = once(() => context({ readOnly: true }));
  const writing = once(() => context({}));
  const hurrying = once(() => context({ sync: false }));
  return {
    async pull(reference, { sync = true, ...options }) {
      // A plan makes nothing, not even a store.
      const target = options.plan === true ? await reading() : await (sync ? writing() : hurrying());
      return (await import("./transfer/pull.ts")).pull(target, reference, options);
    },
    unpack: async (...args) => (await import("./transfer/unpack.ts")).unpack(await reading(), ...args),
    async copyImage(from, to, options) {
      const { copyImage } = await import("./transfer/copy.ts");
      return copyImage(await (isFile(to) ? reading() : writing()), from, to, options);
    },
    listImages: async (...args) => (await import("./transfer/images.ts")).listImages(await reading(), ...args),
    inspectImage: async (...args) => (await import("./transfer/images.ts")).inspectImage(await reading(), ...args),
    rawDocument: async (...args) => (await import("./transfer/images.ts")).rawDocument(await reading(), ...args),
    tagImage: async (...args) => (await import("./transfer/images.ts")).tagImage(await writing(), ...args),
    removeImages: async (...args) => (await import("./transfer/images.ts")).removeImages(await writing(), ...args),
    diskUsage: async (...args) => (await import("./transfer/disk-usage.ts")).diskUsage(await reading(), ...args),
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

async function openRegistry({ transport }: Settings): Promise<RegistryClient> {
  const { RegistryClient } = await import("./registry/client.ts");
  return new RegistryClient(transport);
}

async function openThreads(): Promise<TransferContext["threads"]> {
  const { LayerPool } = await import("./workers/layer-pool.ts");
  return new LayerPool();
}

function credentialFiles({ transport: { authFile } }: Settings): CredentialFileOptions {
  return { env: process.env, ...(authFile !== undefined && { authFile }) };
}

/** Whether a copy goes to a layout or archive, so that no store has to be made for it. */
function isFile(destination: string): boolean {
  return /^(oci|oci-archive|docker-archive):/.test(destination);
}

function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opening: Promise<T> | undefined;
  return () => (opening ??= open());
}
