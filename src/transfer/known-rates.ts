/** What is known of a registry's speed as a pull begins: what this process has measured, else what earlier pulls into this store did. */
import type { Reference } from "../oci/reference.ts";
import type { HostRates } from "../registry/host-rates.ts";
import type { TransferContext } from "./context.ts";

export interface KnownRates extends HostRates {
  /** That this is what earlier pulls found, over many bytes: the same for all who ask, and no guess. */
  readonly isRemembered?: boolean;
}

/** Bytes. Fewer tell more of latency, and of how connections begin, than of the line. */
const TELLING_BYTES = 32 << 20;

/** @throws VarveError `STORE_CORRUPT`, `IO` */
export async function knownRates({ store, registry }: TransferContext, reference: Reference): Promise<KnownRates> {
  const measured = registry.rates(reference);
  if (measured.bytesPerSecond !== undefined) return measured;
  const bytesPerSecond = await store.registryRates.fastest(reference.host);
  return bytesPerSecond === undefined ? measured : { ...measured, bytesPerSecond, isRemembered: true };
}

/** For later pulls, which are none the worse for it when this fails. */
export async function rememberRates({ store, registry }: TransferContext, reference: Reference): Promise<void> {
  const { bytes, ms } = registry.received(reference);
  if (bytes < TELLING_BYTES || ms <= 0) return;
  await store.registryRates.record(reference.host, (bytes * 1000) / ms).catch(() => undefined);
}
