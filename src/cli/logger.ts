/** What is said on stderr besides progress and errors. Messages go through the progress display, which owns the terminal. */
import { sanitize } from "./print/sanitize.ts";

export type Verbosity = "quiet" | "normal" | "verbose" | "debug";
export type LogLevel = "warn" | "info" | "verbose" | "debug";

export interface Logger {
  /** Something is not as it should be; said even with `--quiet`, the same thing once. */
  warn(message: string): void;
  info(message: string): void;
  verbose(message: string): void;
  debug(message: string): void;
}

export type LogSink = (level: LogLevel, message: string) => void;

const LEVELS: Readonly<Record<Verbosity, readonly LogLevel[]>> = {
  quiet: ["warn"],
  normal: ["warn", "info"],
  verbose: ["warn", "info", "verbose"],
  debug: ["warn", "info", "verbose", "debug"],
};

export function createLogger(verbosity: Verbosity, sink: LogSink): Logger {
  const warned = new Set<string>();
  const at = (level: LogLevel) => (message: string) => {
    if (LEVELS[verbosity].includes(level)) sink(level, message);
  };
  const warn = at("warn");
  return {
    warn(message) {
      if (!warned.has(message)) warn(message);
      warned.add(message);
    },
    info: at("info"),
    verbose: at("verbose"),
    debug: at("debug"),
  };
}

/** A message as one line for people, without its newline. */
export function logLine(level: LogLevel, message: string): string {
  const prefix = level === "warn" ? "varve: warning: " : level === "debug" ? "debug: " : "";
  return prefix + sanitize(message);
}
