/** Ctrl-C and its relatives: the first request stops cleanly, the second at once. */
import { VarveError } from "../errors/varve-error.ts";
import type { Host } from "./host.ts";
import type { Logger } from "./logger.ts";

const INTERRUPTED_EXIT = 130;
/**
 * A terminal signals its whole foreground group, and a wrapper (npm, a script, our own start under another Node) may pass the
 * same signal on: requests this close to the first one are the first one.
 */
const ONE_REQUEST_MS = 300;

export interface Stop {
  /** Aborted by the first request, with a `VarveError` `INTERRUPTED` as its reason. */
  readonly signal: AbortSignal;
  off(): void;
}

/** @param owner the owner of the terminal; `escape` is what gives it back before the process ends in the midst of things */
export function listenForStop(host: Host, owner: { readonly logger: Logger; escape(): string }): Stop {
  const controller = new AbortController();
  let firstAt: number | undefined;
  const off = host.onStop((signal) => {
    const now = host.now();
    if (firstAt === undefined) {
      firstAt = now;
      owner.logger.info("stopping; once more stops at once");
      controller.abort(new VarveError("INTERRUPTED", `stopped by ${signal}`));
    } else if (now - firstAt >= ONE_REQUEST_MS) {
      void host.stderr.write(owner.escape());
      host.exit(INTERRUPTED_EXIT);
    }
  });
  return { signal: controller.signal, off };
}
