/** What of the transport's doings is told as progress; the rest is only counted. */
import type { TransportEvent } from "../registry/blob-source.ts";
import type { ProgressSink } from "./progress.ts";

/** A listener for requests that concern no blob, or one without progress of its own. */
export function tellTransport(onProgress: ProgressSink): (event: TransportEvent) => void {
  return (event) => {
    if (event.type === "retry" || event.type === "failover" || event.type === "throttle") onProgress(event);
    else if (event.type === "warning") onProgress({ type: "warning", message: warningOf(event) });
  };
}

/** About the registry as a rule, whatever was asked for. */
export function warningOf({ host, text }: { readonly host: string; readonly text: string }): string {
  return `${host} warns: ${text}`;
}
