/** The daemon's registry alone, on a bare server of node:http, over a store of its own: pull, push and delete for everybody. */
import { createServer } from "node:http";
import { join } from "node:path";
import { registryHandler } from "../../../src/daemon/distribution/handler.ts";
import type { RegistryOptions } from "../../../src/daemon/distribution/options.ts";
import { storeRepositories } from "../../../src/daemon/distribution/store-repositories.ts";
import { Uploads, type UploadsOptions } from "../../../src/daemon/distribution/uploads.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { listen } from "../net/listen.ts";
import { tempDir } from "../temp-dir.ts";

export interface ServedStore extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly url: string;
  readonly root: string;
  readonly store: Store;
  readonly uploads: Uploads;
}

export interface ServeStoreOptions {
  /** Kept. Default: a new store, removed at the end. */
  readonly root?: string;
  readonly uploads?: Omit<UploadsOptions, "directory">;
  readonly registry?: Partial<RegistryOptions>;
}

export async function serveStore(options: ServeStoreOptions = {}): Promise<ServedStore> {
  await using starting = new AsyncDisposableStack();
  const root = options.root ?? starting.use(await tempDir("varve-serve-")).path;
  const store = starting.use(await openStore(root, { sync: false }));
  const uploads = new Uploads({ directory: join(root, "daemon", "uploads"), ...options.uploads });
  const repositories = storeRepositories(store);
  const handle = registryHandler({ source: repositories, repositories, uploads, ...options.registry });
  const server = createServer((request, response) => void handle(request, response));
  server.requestTimeout = 0;
  const listening = starting.adopt(await listen(server), (open) => open.close());
  const stack = starting.move();
  return {
    host: listening.host,
    url: `http://${listening.host}`,
    root,
    store,
    uploads,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
