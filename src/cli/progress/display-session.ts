/** A session whose progress is displayed. */
import type { Host } from "../host.ts";
import { createLogger } from "../logger.ts";
import type { Settings } from "../settings.ts";
import { createDisplay } from "./display.ts";
import { eventMessage } from "./messages.ts";
import { ProgressModel } from "./model.ts";
import type { Session } from "./session.ts";

export async function displaySession(host: Host, settings: Settings): Promise<Session> {
  const display = await createDisplay(settings.progress, host);
  const logger = createLogger(settings.verbosity, (level, message) => display.log(level, message));
  const model = new ProgressModel();
  const offSuspend = host.onSuspend({
    before: () => void host.stderr.write(display.escape()),
    after: () => display.resume(),
  });
  return {
    logger,
    onProgress(event) {
      model.apply(event, host.now());
      display.event(event);
      const message = settings.progress === "json" ? undefined : eventMessage(event);
      if (message !== undefined) logger[message.level](message.text);
    },
    arrived: () => model.arrived(host.now()),
    escape: () => display.escape(),
    close() {
      display.finish();
      offSuspend();
    },
  };
}
