/** Ctrl-C and its relatives: the first request stops cleanly, if that does not take long, the second at once. */
import { VarveError } from "../errors/varve-error.ts";
import type { Host } from "./host.ts";
import type { Logger } from "./logger.ts";

const INTERRUPTED_EXIT = 130;
/**
 * A terminal signals its whole foreground group, and a wrapper (npm, a script, our own start under another Node) may pass the
 * same signal on: requests this close to the first one are the first one.
 */
const ONE_REQUEST_MS = 300;
/**
 * Stopping cleanly is to record what came, which takes as long as the disk takes. After this it has been long enough: whoever
 * pressed the key waits, and what is recorded already is kept anyway.
 */
const CLEAN_STOP_MS = 1500;

/** Who owns the terminal; `escape` is what gives it back before the process ends in the midst of things. */
export interface TerminalOwner {
  readonly logger: Logger;
  escape(): string;
}

export interface Stop {
  /** Aborted by the first request, with a `VarveError` `INTERRUPTED` as its reason. */
  readonly signal: AbortSignal;
  /** Aborted when a clean stop has taken too long. */
  readonly overdue: AbortSignal;
  /** From now on the terminal has an owner, through whom the request is answered. */
  answerThrough(owner: TerminalOwner): void;
  /** For what runs until it is stopped: it may take its time for that, and is told of SIGHUP instead of being stopped by it. */
  allowTime(onHangUp: () => void): void;
  off(): void;
}

export function listenForStop(host: Host): Stop {
  const controller = new AbortController();
  const overdue = new AbortController();
  let offOverdue = (): void => undefined;
  let owner: TerminalOwner | undefined;
  let firstAt: number | undefined;
  let hangUp: (() => void) | undefined;
  const off = host.onStop((signal) => {
    const now = host.now();
    if (signal === "SIGHUP" && hangUp !== undefined) {
      hangUp();
    } else if (firstAt === undefined) {
      firstAt = now;
      if (hangUp === undefined) {
        owner?.logger.info("stopping; once more stops at once");
        offOverdue = host.later(CLEAN_STOP_MS, () => overdue.abort());
      }
      controller.abort(new VarveError("INTERRUPTED", `stopped by ${signal}`));
    } else if (now - firstAt >= ONE_REQUEST_MS) {
      if (owner !== undefined) void host.stderr.write(owner.escape());
      host.exitAtOnce(INTERRUPTED_EXIT);
    }
  });
  return {
    signal: controller.signal,
    overdue: overdue.signal,
    answerThrough(its) {
      owner = its;
    },
    allowTime(onHangUp) {
      hangUp = onHangUp;
    },
    off() {
      offOverdue();
      off();
    },
  };
}
