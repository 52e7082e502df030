/** Small bodies in memory, with a limit; and getting rid of bodies that nobody wants. */
import type { Readable } from "node:stream";

/** Up to `limit` bytes; undefined when there is more (the body is then destroyed). */
export async function readBounded(
  body: Readable,
  limit: number,
  onBytes?: (count: number) => void,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    onBytes?.(chunk.length);
    if (size > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** The beginning of an error's body as text; a body that breaks gives what came. */
export async function readErrorBody(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > 64 * 1024) break;
    }
  } catch {
    // The status says what matters; the text is only an explanation.
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Ends a body whose bytes are not wanted. A short one is read to its end, so that its connection can be used again. */
export async function discard(body: Readable, contentLength: number | undefined): Promise<void> {
  if (contentLength !== undefined && contentLength <= 64 * 1024) await readErrorBody(body);
  else abandon(body);
}

/** Ends a body, and with it its connection, at once. */
export function abandon(body: Readable): void {
  body.on("error", () => undefined).destroy();
}
