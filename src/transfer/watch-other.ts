/** While another process gets a blob that this one waits for, its progress is shown as if it were our own. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Descriptor } from "../oci/descriptor.ts";
import type { TransferContext } from "./context.ts";

const LOOK_MS = 500;

/** Tells of it at once and then every half second, until `signal` aborts. Never rejects: not to know how far it is harms nobody. */
export async function watchOther(context: TransferContext, blob: Descriptor, signal: AbortSignal): Promise<void> {
  const { digest, size: total } = blob;
  while (!signal.aborted) {
    const done = await context.store.content.arrived(blob).catch(() => 0);
    if (signal.aborted) return;
    context.onProgress({ type: "wait", digest, done, total });
    await sleep(LOOK_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}
