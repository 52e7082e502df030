/** What registries say of themselves and of what they were asked for, as a mirror takes it. */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Upstream } from "./upstreams.ts";

const ABSENT: ReadonlySet<string> = new Set(["MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "REPOSITORY_UNKNOWN"]);
const UNREACHABLE: ReadonlySet<string> = new Set([
  "REGISTRY_UNREACHABLE",
  "REGISTRY_TLS",
  "REGISTRY_TIMEOUT",
  "REGISTRY_UNAVAILABLE",
  "REGISTRY_RATE_LIMITED",
  "REGISTRY_QUOTA",
]);

/** The registry has said that it has none. */
export function isAbsent(error: unknown): boolean {
  return isVarveError(error) && ABSENT.has(error.code);
}

/** Nobody knows what the registry would have said. */
export function isUnreachable(error: unknown): error is VarveError {
  return isVarveError(error) && UNREACHABLE.has(error.code);
}

/**
 * What a client is told of an error. That an account is missing is this machine's affair, unless clients may bring one: whoever is told 401 by
 * a mirror would look for an account at the mirror.
 */
export function forClients(error: unknown, { takesAccounts, reference }: Upstream): unknown {
  if (!isVarveError(error, "UNAUTHORIZED")) return error;
  const { message, hint, detail } = error;
  if (!takesAccounts) return new VarveError("DENIED", message, { hint, cause: error, detail });
  const challenge = `Basic realm="${reference.host}"`;
  return new VarveError("UNAUTHORIZED", message, { hint, cause: error, detail: { ...detail, challenge } });
}
