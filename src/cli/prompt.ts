/** Asking a person for a name or a password, and taking a password from a pipe. */
import { VarveError } from "../errors/varve-error.ts";
import type { Input } from "./host.ts";
import { LineEditor } from "./line-editor.ts";

export interface Terminal {
  readonly stdin: Input;
  /** Shows a prompt; on stderr, as stdout is for results. */
  show(text: string): void;
}

/** Far beyond any token; a pipe that never ends is not read for ever. */
const MAX_SECRET_BYTES = 64 * 1024;

/** A line that is shown while it is typed. @throws VarveError `USAGE` when there is nobody to ask, `INTERRUPTED` */
export function promptLine(terminal: Terminal, question: string, signal: AbortSignal): Promise<string> {
  return ask(terminal, question, { echo: true, signal });
}

/** A line of which nothing is shown. @throws VarveError `USAGE` when there is nobody to ask, `INTERRUPTED` */
export function promptSecret(terminal: Terminal, question: string, signal: AbortSignal): Promise<string> {
  return ask(terminal, question, { echo: false, signal });
}

/** All of stdin without the newline at its end. @throws VarveError `USAGE`, `INTERRUPTED` */
export async function readSecret({ stdin }: Terminal, signal: AbortSignal): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let chunk = await stdin.read(signal); chunk !== undefined; chunk = await stdin.read(signal)) {
    size += chunk.length;
    if (size > MAX_SECRET_BYTES) throw new VarveError("USAGE", "the password on standard input is longer than 64 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}

async function ask(
  terminal: Terminal,
  question: string,
  { echo, signal }: { readonly echo: boolean; readonly signal: AbortSignal },
): Promise<string> {
  const { stdin } = terminal;
  if (!stdin.isTerminal) {
    throw new VarveError("USAGE", "nobody is there to be asked: standard input is no terminal", {
      hint: "give --username and --password-stdin",
    });
  }
  terminal.show(question);
  stdin.setRaw(true);
  const editor = new LineEditor();
  const decoder = new TextDecoder();
  try {
    while (editor.state === "typing") {
      const chunk = await stdin.read(signal);
      if (chunk === undefined) break;
      const keys = Array.from(decoder.decode(chunk, { stream: true }));
      while (keys.length > 0 && editor.state === "typing") {
        const shown = editor.press(keys.shift() ?? "");
        if (echo) terminal.show(shown);
      }
      // What was typed ahead answers the next question.
      if (keys.length > 0) stdin.unread(Buffer.from(keys.join("")));
    }
  } finally {
    stdin.setRaw(false);
    terminal.show("\n");
  }
  if (editor.state === "left") throw new VarveError("INTERRUPTED", "stopped", { hint: "nothing was changed" });
  return editor.text;
}
