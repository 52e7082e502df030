/** A coded error that also knows whether asking again can help. */
import { VarveError, type VarveErrorOptions } from "../../errors/varve-error.ts";
import type { ErrorCode } from "../../errors/table.ts";

export interface RegistryFailureOptions extends VarveErrorOptions {
  /** Default: false. */
  readonly retryable?: boolean;
  /** What `Retry-After` asked for. */
  readonly retryAfterMs?: number | undefined;
}

export class RegistryFailure extends VarveError {
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: RegistryFailureOptions = {}) {
    super(code, message, options);
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether a host says with this that it is asked too much of it. */
export function isThrottle({ code }: VarveError): boolean {
  return code === "REGISTRY_RATE_LIMITED" || code === "REGISTRY_QUOTA";
}

export function interrupted(signal: AbortSignal, doing: string): VarveError {
  return new VarveError("INTERRUPTED", `${doing}: interrupted`, { cause: signal.reason });
}
