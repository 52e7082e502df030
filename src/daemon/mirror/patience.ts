/** How long a client is made to wait while a registry does not answer. What is retried in the background for a pull is no use to one who has another place to ask. */
import { ERROR_TABLE, type ErrorCode } from "../../errors/table.ts";
import type { VarveError } from "../../errors/varve-error.ts";
import { RegistryFailure } from "../../registry/transport/failure.ts";
import type { Caller } from "../../registry/attempts.ts";
import type { TransportEvent } from "../../registry/blob-source.ts";

export interface PatienceOptions {
  /** Failed attempts after which it is given up. */
  readonly retries: number;
  /** Milliseconds after which it is given up. */
  readonly ms: number;
  readonly signal: AbortSignal;
  readonly onEvent?: (event: TransportEvent) => void;
}

/** Asks a registry, and gives up early. @throws VarveError what the registry said last, or `REGISTRY_TIMEOUT` */
export async function withPatience<T>(
  what: string,
  { retries, ms, signal, onEvent }: PatienceOptions,
  ask: (caller: Caller) => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  const timer = setTimeout(
    () => end.abort(new RegistryFailure("REGISTRY_TIMEOUT", `${what}: no answer in ${ms} ms`)),
    ms,
  );
  let failed = 0;
  try {
    return await ask({
      signal: AbortSignal.any([signal, end.signal]),
      onEvent: (event) => {
        onEvent?.(event);
        if (event.type === "retry" && ++failed > retries) end.abort(failureOf(event.reason));
      },
    });
  } catch (error) {
    if (end.signal.aborted && !signal.aborted) throw end.signal.reason as VarveError;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** @param reason as `CODE: message` */
export function failureOf(reason: string): RegistryFailure {
  const colon = reason.indexOf(": ");
  const code = reason.slice(0, Math.max(0, colon));
  if (!(code in ERROR_TABLE)) return new RegistryFailure("REGISTRY_UNREACHABLE", reason);
  return new RegistryFailure(code as ErrorCode, reason.slice(colon + 2));
}
