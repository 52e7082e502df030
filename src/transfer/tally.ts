/** Counts what a command cost the network, over all of its requests, and collects what registries warned of: for the report. */
import type { ProgressSink } from "../recipe/progress.ts";
import { tellTransport, warningOf } from "../recipe/transport-progress.ts";
import type { BlobSource, TransportEvent } from "../registry/blob-source.ts";

export class Tally {
  /** Body bytes received. */
  network = 0;
  /** Body bytes sent. */
  sent = 0;
  requests = 0;
  retries = 0;
  readonly warnings: string[] = [];

  /** Only counts; for requests whose events are told by somebody else. */
  readonly onEvent = (event: TransportEvent): void => {
    if (event.type === "received") this.network += event.bytes;
    else if (event.type === "sent") this.sent += event.bytes;
    else if (event.type === "request") this.requests++;
    else if (event.type === "retry") this.retries++;
    else if (event.type === "warning") this.warnings.push(warningOf(event));
  };

  /** What another one has counted. */
  add({ network, requests, retries }: Tally): void {
    this.network += network;
    this.requests += requests;
    this.retries += retries;
  }

  /** Counts, and tells what there is to tell. Hand this to the registry client with each request for a document. */
  telling(onProgress: ProgressSink): (event: TransportEvent) => void {
    const tell = tellTransport(onProgress);
    return (event) => {
      this.onEvent(event);
      tell(event);
    };
  }

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
