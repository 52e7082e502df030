/** The daemon's log: JSON lines of pino, from which secrets are taken out whoever put them in. */
import type { Log } from "../daemon.ts";
import type { DaemonConfig } from "../config/types.ts";

export type LogLevel = DaemonConfig["log"]["level"];

export interface DaemonLog extends Log {
  /** The same log, every line with these fields. */
  child(fields: object): DaemonLog;
  shows(level: LogLevel): boolean;
}

export interface RootLog extends DaemonLog {
  /** From now on, for children as well. */
  setLevel(level: LogLevel): void;
}

/** @param write takes whole lines; what it throws is the caller's to handle */
export async function openLog(level: LogLevel, write: (line: string) => void): Promise<RootLog> {
  const { pino, stdSerializers, stdTimeFunctions } = await import("pino");
  let shown = LEVELS.indexOf(level);
  const base = pino(
    {
      // Which lines are shown is decided here, because pino's children keep the level that they were made with.
      level: "debug",
      base: null,
      messageKey: "message",
      serializers: { error: stdSerializers.err },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(withoutSecrets(line)) },
  );
  const shows = (asked: LogLevel): boolean => LEVELS.indexOf(asked) >= shown;
  const wrap = (logger: typeof base): DaemonLog => {
    const at = (level: LogLevel) => (fields: object, message: string) => {
      if (shows(level)) logger[level](fields, message);
    };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (fields) => wrap(logger.child(fields)),
      shows,
    };
  };
  return {
    ...wrap(base),
    setLevel(level) {
      shown = LEVELS.indexOf(level);
    },
  };
}

export const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Signatures stand in queries of URLs, credentials in headers and before an `@`. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s"'\\?]*)\?[^\s"'\\]+/gi, "$1?..."],
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s"'\\/@]+@/gi, "$1...@"],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi, "$1 ..."],
  [/"((?:proxy-)?authorization|cookie|token|password|secret)":"(?:[^"\\]|\\.)*"/gi, '"$1":"..."'],
];

export function withoutSecrets(line: string): string {
  return SECRETS.reduce((text, [pattern, instead]) => text.replace(pattern, instead), line);
}
