/** The body of a request: bytes in memory, or a stream that can be opened again for a redirect or after a challenge. */
import type { TransportEvent } from "../blob-source.ts";

export interface RequestBody {
  /** Bytes, exactly. */
  readonly length: number;
  /** From the first byte on, each time; what was opened before is not read on. */
  open(): AsyncIterable<Uint8Array>;
}

export function isStreamed(body: string | Uint8Array | RequestBody | undefined): body is RequestBody {
  return typeof body === "object" && !(body instanceof Uint8Array);
}

/** A request's body as a client takes it. */
export interface Sending {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly stream?: AsyncIterable<Uint8Array>;
}

/** Has what goes out counted. A string is a form, whose bytes nobody counts. */
export function sending(
  body: string | Uint8Array | RequestBody | undefined,
  onEvent: ((event: TransportEvent) => void) | undefined,
): Sending {
  if (body === undefined) return { headers: {} };
  if (typeof body === "string") return { headers: {}, body };
  if (body instanceof Uint8Array) {
    onEvent?.({ type: "sent", bytes: body.length });
    return { headers: { "content-length": String(body.length) }, body };
  }
  return {
    headers: { "content-length": String(body.length) },
    stream: counted(body.open(), onEvent),
  };
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  onEvent: ((event: TransportEvent) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    onEvent?.({ type: "sent", bytes: chunk.length });
    yield chunk;
  }
}
