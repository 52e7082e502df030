import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { PlainError } from "./messages.ts";

export function toPlainError(error: unknown): PlainError {
  const { code, message, hint, detail } = toVarveError(error);
  return { code, message, hint, detail };
}

export function fromPlainError({ code, message, hint, detail }: PlainError): VarveError {
  return new VarveError(code, message, { hint, detail });
}
