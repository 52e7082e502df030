/** A refusal as distribution-spec "Error Codes" writes it: status, code, message. Thrown by handlers and sent in one place. */
import { ERROR_TABLE, type ErrorCode } from "../../errors/table.ts";
import type { VarveError } from "../../errors/varve-error.ts";

/** distribution-spec 1.1, "Error Codes"; `UNKNOWN` is what registries say of their own troubles. */
export type RegistryCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "SIZE_INVALID"
  | "UNAUTHORIZED"
  | "DENIED"
  | "UNSUPPORTED"
  | "TOOMANYREQUESTS"
  | "UNKNOWN";

export class RegistryError extends Error {
  readonly status: number;
  readonly code: RegistryCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: RegistryCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "RegistryError";
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  get body(): string {
    return JSON.stringify({ errors: [{ code: this.code, message: this.message, detail: null }] });
  }
}

const CODES: Partial<Record<ErrorCode, RegistryCode>> = {
  UNAUTHORIZED: "UNAUTHORIZED",
  DENIED: "DENIED",
  REGISTRY_BLOCKED: "DENIED",
  MANIFEST_UNKNOWN: "MANIFEST_UNKNOWN",
  IMAGE_NOT_FOUND: "MANIFEST_UNKNOWN",
  BLOB_UNKNOWN: "BLOB_UNKNOWN",
  REPOSITORY_UNKNOWN: "NAME_UNKNOWN",
  REFERENCE_INVALID: "NAME_INVALID",
  MANIFEST_UNSUPPORTED: "MANIFEST_INVALID",
  REGISTRY_RATE_LIMITED: "TOOMANYREQUESTS",
  REGISTRY_QUOTA: "TOOMANYREQUESTS",
};

/** A coded error as clients of a registry read it: the status decides, the rest is for people. */
export function fromVarveError(error: VarveError): RegistryError {
  const { code, message, hint, detail } = error;
  const challenge = (detail as Readonly<Record<string, unknown>> | undefined)?.["challenge"];
  const headers = typeof challenge === "string" ? { "www-authenticate": challenge } : {};
  return new RegistryError(ERROR_TABLE[code].http, CODES[code] ?? "UNKNOWN", `${message} (${hint})`, headers);
}
