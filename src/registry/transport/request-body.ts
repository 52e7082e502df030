/** The body of a request: bytes in memory, or a stream that can be opened again for a redirect or after a challenge. */
import type { TransportEvent } from "../blob-source.ts";
import type { Admission } from "./host-gates.ts";

export interface RequestBody {
  /** Bytes, exactly. */
  readonly length: number;
  /** From the first byte on, each time; what was opened before is not read on. */
  open(): AsyncIterable<Uint8Array>;
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
  admission: Admission,
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
    stream: passing(body.open(), admission, onEvent),
  };
}

/** While the bytes are waited for, the request holds up nobody else at its host: they may have to come from there. */
async function* passing(
  source: AsyncIterable<Uint8Array>,
  admission: Admission,
  onEvent: ((event: TransportEvent) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  admission.pause();
  for await (const chunk of source) {
    admission.resume();
    onEvent?.({ type: "sent", bytes: chunk.length });
    yield chunk;
    admission.pause();
  }
  admission.resume();
}
