/** A registry with machines' images, and a store that they are pulled into as processes of their own would. */
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { inProcess } from "../../../src/layer/in-process.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import type { Manifest } from "../../../src/oci/manifest.ts";
import type { ProgressEvent } from "../../../src/recipe/progress.ts";
import { RegistryClient } from "../../../src/registry/client.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import type { TransferContext } from "../../../src/transfer/context.ts";
import { checkStore, type Finding } from "../../../src/transfer/fsck.ts";
import { pull, type PullOptions } from "../../../src/transfer/pull.ts";
import type { PullResult } from "../../../src/transfer/pull-result.ts";
import type { KitImage } from "../images/build-image.ts";
import { pushImage } from "../images/push-image.ts";
import { startRegistry, type KitRegistry } from "../registry/registry.ts";
import { tempDir } from "../temp-dir.ts";

export interface MachineImage {
  readonly manifest: Manifest;
  readonly blobs: ReadonlyMap<Digest, Buffer>;
}

export interface PullRun extends PullResult {
  readonly events: readonly ProgressEvent[];
}

export interface BenchPull extends PullOptions {
  /** Default: the registry. */
  readonly host?: string;
  readonly signal?: AbortSignal;
}

export interface MachineBench {
  readonly registry: KitRegistry;
  readonly root: string;
  /** As the last argument of `pull`, whatever `host` it goes to. */
  readonly name: (tag: string, host?: string) => string;
  readonly push: (tag: string, image: MachineImage) => Promise<void>;
  /** With a store that is opened for it, and closed. */
  readonly pull: (tag: string, options?: BenchPull) => Promise<PullRun>;
  /** What is wrong with the store. */
  readonly faults: () => Promise<readonly Finding[]>;
  readonly withStore: <T>(work: (store: Store) => Promise<T>) => Promise<T>;
}

/**
 * @param checkpointBytes as the store has it, so that what is cut off can be resumed
 * @param place where the store is to be. Default: a temporary directory
 */
export async function machineBench(checkpointBytes?: number, place?: string): Promise<MachineBench> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const root = join(place ?? dir.path, "store");
  const name = (tag: string, host = registry.host): string => `${host}/vm:${tag}`;
  const open = (): Promise<Store> =>
    openStore(root, { sync: false, ...(checkpointBytes !== undefined && { checkpointBytes }) });
  return {
    registry,
    root,
    name,
    push: (tag, image) => pushMachine(registry.host, "vm", tag, image),
    async pull(tag, { host, signal = new AbortController().signal, ...options } = {}) {
      const events: ProgressEvent[] = [];
      await using store = await open();
      await using client = new RegistryClient({ registriesConf: false });
      registry.clearRequests();
      const onProgress = (event: ProgressEvent): void => void events.push(event);
      const context: TransferContext = { store, registry: client, threads: inProcess, signal, onProgress };
      return { ...(await pull(context, name(tag, host), options)), events };
    },
    async faults() {
      await using store = await open();
      await using client = new RegistryClient({ registriesConf: false });
      const { signal } = new AbortController();
      const context = { store, registry: client, threads: inProcess, signal, onProgress: () => undefined };
      return (await checkStore(context)).findings;
    },
    async withStore(work) {
      await using store = await open();
      return await work(store);
    },
  };
}

export async function pushMachine(host: string, name: string, tag: string, image: MachineImage): Promise<void> {
  const { mediaType, digest, bytes } = image.manifest;
  const blobs = [...image.blobs].map(([blob, content]) => ({ digest: blob, bytes: content }));
  const descriptor = { mediaType, digest, size: bytes.length };
  await pushImage(host, name, tag, { kind: "image", digest, bytes, descriptor, blobs } as unknown as KitImage);
}
