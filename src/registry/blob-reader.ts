/**
 * The bytes of a blob, in order, whatever breaks on the way: resumed at the byte, at the same endpoint or the next.
 * Chunks are passed as the HTTP client gives them, without copying.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { Attempts, type Caller } from "./attempts.ts";
import { BlobOpener, type OpenBody, type OpenerContext } from "./blob-opener.ts";
import type { BlobRange } from "./blob-source.ts";
import type { Endpoint } from "./endpoint.ts";
import type { RatesBook } from "./host-rates.ts";
import type { Settings } from "./options.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { abandon } from "./transport/body.ts";
import { RegistryFailure } from "./transport/failure.ts";
import { networkFailure } from "./transport/network-failure.ts";

export interface ReaderContext extends OpenerContext {
  readonly settings: Settings;
  readonly rates: RatesBook;
  readonly limiter: RateLimiter | undefined;
}

/** @param endpoints Those that may have the blob, in the order in which to ask. */
export async function* readBlobFrom(
  endpoints: readonly Endpoint[],
  blob: Descriptor,
  range: BlobRange | undefined,
  context: ReaderContext,
  caller: Caller,
): AsyncGenerator<Uint8Array> {
  const { start, end } = checkRange(range, blob);
  if (start === end) return;
  if (blob.data !== undefined) {
    yield Buffer.from(blob.data, "base64").subarray(start, end);
    return;
  }
  const { rates, registry, settings } = context;
  const attempts = new Attempts(endpoints, settings, caller);
  const opener = new BlobOpener(context, attempts.caller);
  let position = start;
  while (position < end) {
    try {
      const opened = await opener.open(attempts.endpoint, { blob, start, end, position });
      rates.answered(registry, opened.latencyMs);
      for await (const piece of pieces(opened, position, end, context, caller)) {
        position += piece.length;
        attempts.progressed(piece.length);
        yield piece;
      }
    } catch (error) {
      if (position < end)
        await attempts.failed(networkFailure(error, attempts.endpoint.host, context.subject, caller.signal));
      else if (error instanceof VarveError) throw error;
    }
  }
}

/** What of a body lies in `[position, end)`. Returns early only at the body's own limit; a shorter one is a failure. */
async function* pieces(
  opened: OpenBody,
  position: number,
  end: number,
  context: ReaderContext,
  caller: Caller,
): AsyncGenerator<Uint8Array> {
  const { body, limit, host, admission } = opened;
  const { rates, registry, settings } = context;
  const last = Math.min(end, limit);
  const measured = rates.body(registry, settings.clock.now());
  let at = opened.offset;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      measured.received(chunk.length);
      caller.onEvent?.({ type: "received", bytes: chunk.length });
      await context.limiter?.take(chunk.length, caller.signal);
      const from = Math.max(0, position - at);
      const to = Math.min(chunk.length, last - at);
      at += chunk.length;
      if (at > limit) throw tooLong(context.subject, host, limit);
      if (from < to) {
        admission.pause();
        yield from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to);
        admission.resume();
      }
      // The rest was not asked for. A body that ends here by itself is read to its end, to keep the connection.
      if (at >= last && last < limit) return;
    }
  } finally {
    measured.end(settings.clock.now());
    if (!body.readableEnded) abandon(body);
  }
  if (at < last) throw truncated(context.subject, host, at, last);
}

function checkRange(range: BlobRange | undefined, blob: Descriptor): BlobRange {
  const { start, end } = range ?? { start: 0, end: blob.size };
  const valid =
    Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= blob.size;
  if (!valid) throw new VarveError("INTERNAL", `no range of a blob of ${blob.size} bytes: ${start}-${end}`);
  return { start, end };
}

function tooLong(subject: string, host: string, limit: number): RegistryFailure {
  const message = `${subject}: ${host} sent more than the ${limit} bytes it should have`;
  return new RegistryFailure("SIZE_MISMATCH", message, { detail: { host } });
}

function truncated(subject: string, host: string, at: number, last: number): RegistryFailure {
  const message = `${subject}: ${host} ended the body at byte ${at} of ${last}`;
  return new RegistryFailure("REGISTRY_UNREACHABLE", message, { retryable: true, detail: { host } });
}
