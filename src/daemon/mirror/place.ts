/**
 * Where a blob goes to: its ingest, once nobody else is at it. Another process at the same blob, a pull of the command line perhaps, is waited for
 * as long as it gets on. One that does not may be waiting for us: a pull that asks this daemon for what it is about to put into the same store.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Store } from "../../store/store.ts";
import type { ContentInfo, Ingest } from "../../store/types.ts";

const LOOK_MS = 250;

export interface PlaceOptions {
  readonly store: Store;
  /** Milliseconds for which another process may get no further. */
  readonly otherMs: number;
  /** Whether what another has brought of it may be taken. */
  readonly isShared: boolean;
  readonly signal: AbortSignal;
}

/**
 * @throws VarveError `STORE_BUSY` when another process is at the blob and gets no further, or has brought it from elsewhere though that is not to
 * be shared; what the ingest throws
 */
export async function openPlace(blob: Descriptor, options: PlaceOptions): Promise<Ingest | ContentInfo> {
  const place = await waitForPlace(blob, options);
  if (options.isShared) return place;
  if (!("commit" in place)) throw new VarveError("STORE_BUSY", `${blob.digest} has come from elsewhere meanwhile`);
  // Bytes that came from elsewhere are got again: whoever reads along must not see them.
  for (const { start, end } of place.resumed) place.forget(start, end - start);
  return place;
}

async function waitForPlace(blob: Descriptor, options: PlaceOptions): Promise<Ingest | ContentInfo> {
  const { store, signal } = options;
  const waiting = new AbortController();
  const stuck = new AbortController();
  const onWait = (): void => void watch(blob, options, waiting.signal, stuck).catch(() => undefined);
  try {
    const both = AbortSignal.any([signal, stuck.signal]);
    return await store.content.ingest(blob, { signal: both, onWait, check: "later" });
  } catch (error) {
    if (!stuck.signal.aborted || signal.aborted) throw error;
    throw new VarveError("STORE_BUSY", `another process is at ${blob.digest} and gets no further`, { cause: error });
  } finally {
    waiting.abort();
  }
}

async function watch(
  blob: Descriptor,
  { store, otherMs }: PlaceOptions,
  signal: AbortSignal,
  stuck: AbortController,
): Promise<void> {
  let arrived = -1;
  for (let since = Date.now(); Date.now() - since < otherMs;) {
    const now = await store.content.arrived(blob).catch(() => arrived);
    if (now !== arrived) since = Date.now();
    arrived = now;
    await sleep(Math.min(LOOK_MS, otherMs), undefined, { signal, ref: false });
  }
  stuck.abort();
}
