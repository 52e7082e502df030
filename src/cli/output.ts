/** Where results and errors are printed: as one JSON document, or for people. */
import { inspect } from "node:util";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Command } from "./command.ts";
import type { Output } from "./host.ts";
import { sanitize, sanitizeLines, toJson } from "./print/sanitize.ts";
import type { Settings } from "./settings.ts";

/**
 * Bytes go out unchanged, except to a terminal, which would obey control characters in them.
 * @throws VarveError `NO_SPACE`, `IO` when they cannot be written
 */
export async function printData(command: Command, data: unknown, stdout: Output, settings: Settings): Promise<void> {
  if (data instanceof Uint8Array) {
    await printText(stdout, stdout.isTerminal ? endLine(sanitizeLines(new TextDecoder().decode(data))) : data);
    return;
  }
  const { json, verbosity } = settings;
  const view = {
    quiet: verbosity === "quiet",
    verbose: verbosity === "verbose" || verbosity === "debug",
    now: Date.now(),
  };
  const text = json ? `${toJson(data, 2)}\n` : command.render(data, view);
  if (text !== "") await printText(stdout, text);
}

/**
 * A result that does not arrive whole is a failure, whatever was done to get it.
 * @throws VarveError `NO_SPACE`, `IO`
 */
export async function printText(stdout: Output, chunk: string | Uint8Array): Promise<void> {
  try {
    await stdout.write(chunk);
  } catch (error) {
    const { code, message } = toVarveError(error, "the result could not be printed");
    throw new VarveError(code, message, { cause: error, hint: "check where standard output goes" });
  }
}

/** One line for what happened and one for what to do; with JSON, the one document. The stack only with `debug`. */
export function reportError(
  error: VarveError,
  { json, debug }: { readonly json: boolean; readonly debug: boolean },
): { readonly stdout: string; readonly stderr: string } {
  const { code, message, hint } = error;
  const stack = debug ? endLine(sanitizeLines(inspect(error, { depth: 4 }))) : "";
  if (json) return { stdout: `${toJson({ error: { code, message, hint } }, 2)}\n`, stderr: stack };
  return { stdout: "", stderr: `varve: ${code}: ${sanitize(message)}\nhint: ${sanitize(hint)}\n${stack}` };
}

function endLine(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}
