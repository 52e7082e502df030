/**
 * A plan is true only if the pull that follows it comes to the same plan. So what was just measured of a connection counts in coarse steps:
 * noise of the measuring then seldom shows. What is remembered is the same for both.
 */
import { ratesOf, type Rates } from "../../plan/choose.ts";
import type { KnownRates } from "../known-rates.ts";

/** As a factor. */
const STEP = 4;

export function coarseRates(measured: KnownRates, concurrency: number): Rates {
  const { network, request } = ratesOf(measured, concurrency);
  return {
    ...(network !== undefined && { network: measured.isRemembered === true ? network : coarse(network) }),
    ...(request !== undefined && { request: coarse(request) }),
  };
}

/** The nearest power of the step. */
function coarse(value: number): number {
  return value <= 0 ? 0 : STEP ** Math.round(Math.log(value) / Math.log(STEP));
}
