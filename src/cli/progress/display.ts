/** How progress is shown: the contract of the displays, and the choice among them. */
import type { ProgressEvent } from "../../recipe/progress.ts";
import type { Host } from "../host.ts";
import { type LogLevel, logLine } from "../logger.ts";
import { toJson } from "../print/sanitize.ts";
import type { ProgressMode } from "../settings.ts";

/** Owns stderr while a command runs. */
export interface Display {
  event(event: ProgressEvent): void;
  log(level: LogLevel, message: string): void;
  /** Shows the last state and gives the terminal back. May be called again; nothing is shown after it but messages. */
  finish(): void;
  /** What must be written before the process ends or is suspended in the midst of it; the state is kept. */
  escape(): string;
  /** Goes on after {@link escape}. */
  resume(): void;
}

/** Loads only the one that is wanted. */
export async function createDisplay(mode: ProgressMode, host: Host): Promise<Display> {
  switch (mode) {
    case "tty": {
      const { TtyDisplay } = await import("./tty.ts");
      return new TtyDisplay(host);
    }
    case "plain": {
      const { PlainDisplay } = await import("./plain.ts");
      return new PlainDisplay(host);
    }
    case "json":
      return jsonDisplay((text) => void host.stderr.write(text));
    case "none":
      return silentDisplay((text) => void host.stderr.write(text));
  }
}

/** One event a line, as the engine gives them; messages become events, so that every line is JSON. */
function jsonDisplay(write: (text: string) => void): Display {
  return {
    ...NOTHING,
    event: (event) => write(`${toJson(event)}\n`),
    log: (level, message) => write(`${toJson({ type: level === "warn" ? "warning" : "log", level, message })}\n`),
  };
}

function silentDisplay(write: (text: string) => void): Display {
  return { ...NOTHING, log: (level, message) => write(`${logLine(level, message)}\n`) };
}

const NOTHING: Display = {
  event: () => undefined,
  log: () => undefined,
  finish: () => undefined,
  escape: () => "",
  resume: () => undefined,
};
