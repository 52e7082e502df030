/** What stands in the way of getting a layer by whatever way: then falling back to its blob would only take time. */
import type { ErrorCode } from "../../errors/table.ts";
import type { VarveError } from "../../errors/varve-error.ts";

const HOPELESS: ReadonlySet<ErrorCode> = new Set([
  "INTERRUPTED",
  "NO_SPACE",
  "PERMISSION",
  "STORE_BUSY",
  "STORE_READ_ONLY",
  "REGISTRY_UNREACHABLE",
  "REGISTRY_TIMEOUT",
  "REGISTRY_TLS",
  "REGISTRY_BLOCKED",
  "REGISTRY_RATE_LIMITED",
  "REGISTRY_QUOTA",
]);

export function isHopeless({ code }: VarveError): boolean {
  return HOPELESS.has(code);
}
