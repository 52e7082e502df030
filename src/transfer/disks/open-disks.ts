/**
 * The disks of an image that are to be made, locked and open: several at once, so that what they share is got once, and taken in the order of their
 * keys, so that no two processes wait for each other.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ChunkedDisk } from "../../codec/tart/disk-image.ts";
import type { Digest } from "../../oci/digest.ts";
import type { DiskInfo, PartialDisk } from "../../store/disks/types.ts";
import type { TransferContext } from "../context.ts";

export interface DiskTask {
  readonly key: Digest;
  /** All its chunks have digests. */
  readonly disk: ChunkedDisk;
}

export interface OpenDisk extends DiskTask {
  readonly partial: PartialDisk;
}

export interface OpenOptions {
  readonly wait: boolean;
  /** Make them though they are there, because they are damaged; they stay until the new ones take their places. Default false. */
  readonly anew?: boolean | undefined;
  readonly signal: AbortSignal;
}

const LOOK_MS = 500;

/**
 * Those of the tasks that are not in the store by now, in the tasks' order. Who waits for another process tells how far that is.
 * @throws VarveError `STORE_BUSY` without `wait`; as `DiskStore.open`
 */
export async function openDisks(
  context: TransferContext,
  tasks: readonly DiskTask[],
  options: OpenOptions,
): Promise<AsyncDisposable & { readonly disks: readonly OpenDisk[] }> {
  await using stack = new AsyncDisposableStack();
  const open = new Map<Digest, PartialDisk>();
  for (const { key, disk } of tasks.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
    const found = await openPartial(context, { key, size: disk.size }, options);
    if ("window" in found) open.set(key, stack.use(found));
  }
  const disks = tasks.flatMap((task) => {
    const partial = open.get(task.key);
    return partial === undefined ? [] : [{ ...task, partial }];
  });
  const owned = stack.move();
  return { disks, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The disk if it is in the store by now. */
export async function openPartial(
  context: TransferContext,
  { key, size }: { readonly key: Digest; readonly size: number },
  { wait, anew = false, signal }: OpenOptions,
): Promise<PartialDisk | DiskInfo> {
  const waiting = new AbortController();
  const onWait = (): void => void watchOther(context, key, size, waiting.signal);
  const options = { wait, anew, signal, onWait };
  const found = await context.store.disks.open({ key, size }, options).finally(() => waiting.abort());
  if (!("window" in found)) context.onProgress({ type: "layer-present", digest: key, total: found.size });
  return found;
}

/** At once and then every half second. Never rejects: not to know how far the other is harms nobody. */
async function watchOther(
  { store, onProgress }: TransferContext,
  key: Digest,
  total: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { allocatedBytes: done = 0 } = (await store.disks.partial(key)) ?? {};
    if (signal.aborted) return;
    onProgress({ type: "wait", digest: key, done: Math.min(done, total), total });
    await sleep(LOOK_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}
