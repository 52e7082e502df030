/** Counts what a command cost the network, over all of its requests: the figures of the report and of `--json`. */
import type { BlobSource, TransportEvent } from "../registry/blob-source.ts";

export class Tally {
  /** Body bytes received. */
  network = 0;
  requests = 0;
  retries = 0;

  /** Hand this to the registry client with each request. */
  readonly onEvent = (event: TransportEvent): void => {
    if (event.type === "received") this.network += event.bytes;
    else if (event.type === "request") this.requests++;
    else if (event.type === "retry") this.retries++;
  };

  /** The same source, with everything it moves counted here, also for what fails in the end. */
  counting(source: BlobSource): BlobSource {
    return {
      readBlob: (blob, request) =>
        source.readBlob(blob, {
          ...request,
          onEvent: (event) => {
            this.onEvent(event);
            request?.onEvent?.(event);
          },
        }),
    };
  }
}
