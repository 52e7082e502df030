/** What the parts of the daemon are handed; the composition root fills it. */
import type { TransferContext } from "../transfer/context.ts";
import type { DaemonConfig } from "./config/types.ts";
import type { Metrics } from "./metrics/metrics.ts";

/** As pino has it; a part gets a child that says whose lines they are. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Daemon {
  /** As it is now: a reload puts another in its place, so nobody keeps it. */
  readonly config: () => DaemonConfig;
  /** The one store, registry client and threads of this process, bound to one piece of work. */
  readonly context: (run: Pick<TransferContext, "signal" | "onProgress">) => Promise<TransferContext>;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Aborted when the daemon has been told to stop: nothing new is begun, streams of events end. Answers under way have some time left. */
  readonly stopping: AbortSignal;
  /** Aborted when that time is over: transfers then end and leave their partials. */
  readonly signal: AbortSignal;
}
