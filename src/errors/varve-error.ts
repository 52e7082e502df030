import { ERROR_TABLE, type ErrorCode } from "./table.ts";

export interface VarveErrorOptions {
  /** What to do about it. Default: the table's hint for the code. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Plain facts for programs (digest, status, path ...); never secrets. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** The one error that varve throws on purpose. Its message names what happened and to which thing. */
export class VarveError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: VarveErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "VarveError";
    this.code = code;
    this.hint = options.hint ?? ERROR_TABLE[code].hint;
    this.detail = options.detail ?? {};
  }

  get exitCode(): number {
    return ERROR_TABLE[this.code].exit;
  }
}

export function isVarveError(error: unknown, code?: ErrorCode): error is VarveError {
  return error instanceof VarveError && (code === undefined || error.code === code);
}

/** What was thrown, as an error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
