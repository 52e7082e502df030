/** What one run says on stderr while it works: messages, and progress where the command makes any. */
import type { ProgressEvent } from "../../recipe/progress.ts";
import type { Host } from "../host.ts";
import { createLogger, type Logger, logLine } from "../logger.ts";
import type { Settings } from "../settings.ts";

/** How much of what was wanted has arrived: bytes, and whole layers. */
export interface Arrived {
  readonly done: number;
  readonly total: number;
  readonly finished: number;
  readonly layers: number;
}

export interface Session {
  readonly logger: Logger;
  onProgress(event: ProgressEvent): void;
  arrived(): Arrived;
  /** What must be written before the process ends in the midst of it. */
  escape(): string;
  /** Shows the last state and gives the terminal back. */
  close(): void;
}

/** Commands without progress do not pay for loading the displays. */
export async function openSession(host: Host, settings: Settings, showsProgress: boolean): Promise<Session> {
  if (showsProgress || settings.progress === "json")
    return (await import("./display-session.ts")).displaySession(host, settings);
  return {
    logger: createLogger(settings.verbosity, (level, message) => {
      void host.stderr.write(`${logLine(level, message)}\n`);
    }),
    onProgress: () => undefined,
    arrived: () => ({ done: 0, total: 0, finished: 0, layers: 0 }),
    escape: () => "",
    close: () => undefined,
  };
}
