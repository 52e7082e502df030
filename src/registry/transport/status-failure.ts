/** What a status means, distribution-spec "Error Codes": which coded error it is, and whether asking again can help. */
import type { ErrorCode } from "../../errors/table.ts";
import { RegistryFailure } from "./failure.ts";
import { isQuota } from "./quota.ts";

export interface Refusal {
  readonly host: string;
  /** What was asked for, for the message: `manifest docker.io/library/debian:12`. */
  readonly subject: string;
  readonly status: number;
  /** The registry's own words, sanitised. */
  readonly text: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** What 404 means here. */
  readonly missing: ErrorCode;
  readonly hint?: string;
}

export function statusFailure(refusal: Refusal): RegistryFailure {
  const { host, subject, status, text } = refusal;
  const [code, retryable] = isQuota(status, text)
    ? (["REGISTRY_QUOTA", true] as const)
    : meaning(status, refusal.missing);
  const words = text === undefined ? "" : `: ${text}`;
  return new RegistryFailure(code, `${subject}: ${host} ${verb(code)} (status ${status})${words}`, {
    retryable,
    retryAfterMs: refusal.retryAfterMs,
    detail: { host, status },
    // A hint about accounts is of no use against a quota.
    ...(refusal.hint === undefined || code === "REGISTRY_QUOTA" ? {} : { hint: refusal.hint }),
  });
}

function meaning(status: number, missing: ErrorCode): [ErrorCode, boolean] {
  switch (status) {
    case 401:
      return ["UNAUTHORIZED", false];
    case 403:
    case 451:
      return ["DENIED", false];
    case 404:
    case 410:
      return [missing, false];
    case 408:
      return ["REGISTRY_TIMEOUT", true];
    case 429:
      return ["REGISTRY_RATE_LIMITED", true];
    // nginx: the client went away; proxies in between make it of their own time-outs.
    case 499:
      return ["REGISTRY_UNAVAILABLE", true];
    default:
      return status >= 500 ? ["REGISTRY_UNAVAILABLE", true] : ["REGISTRY_PROTOCOL", false];
  }
}

const VERBS: Partial<Record<ErrorCode, string>> = {
  UNAUTHORIZED: "wants authentication",
  DENIED: "denies access",
  MANIFEST_UNKNOWN: "does not have it",
  BLOB_UNKNOWN: "does not have it",
  REGISTRY_RATE_LIMITED: "limits the rate",
  REGISTRY_QUOTA: "has reached a quota of what it may send",
  REGISTRY_TIMEOUT: "timed out",
  REGISTRY_UNAVAILABLE: "failed",
};

function verb(code: ErrorCode): string {
  return VERBS[code] ?? "gave an unexpected answer";
}
