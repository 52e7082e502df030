/** Counts what a command cost the network, over all of its requests: the figures of the report and of `--json`. */
import type { TransportEvent } from "../registry/blob-source.ts";

export class Tally {
  /** Body bytes received. */
  network = 0;
  requests = 0;
  retries = 0;

  /** Hand this to the registry client for requests that no assembler counts. */
  readonly onEvent = (event: TransportEvent): void => {
    if (event.type === "received") this.network += event.bytes;
    else if (event.type === "request") this.requests++;
    else if (event.type === "retry") this.retries++;
  };

  add(more: { readonly requests: number; readonly retries: number }): void {
    this.requests += more.requests;
    this.retries += more.retries;
  }
}
