/** Reads a tar of any kind for its headers: payload is passed over but for what lies in a read together with a header. */
import type { TarHandler } from "../tar/entry.ts";
import { TarParser } from "../tar/parser.ts";
import type { Base } from "../librsync/base.ts";

const LEAST = 8 << 10;
const MOST = 256 << 10;

/**
 * Gives the members of a tar to the handler, to the end of the archive; what follows it is left alone.
 * @throws VarveError `LAYER_INVALID`, `LAYER_LIMIT`; what the tar and the handler throw; the signal's reason
 */
export async function walkHeaders(
  tar: Base,
  handler: TarHandler & Required<Pick<TarHandler, "skip">>,
  signal?: AbortSignal,
): Promise<void> {
  const parser = new TarParser(handler);
  const buffer = Buffer.allocUnsafeSlow(MOST);
  let size = LEAST;
  while (!parser.archiveEnded && parser.offset < tar.size) {
    signal?.throwIfAborted();
    const some = buffer.subarray(0, Math.min(size, tar.size - parser.offset));
    await tar.read(some, parser.offset);
    parser.write(some);
    const { payloadLeft } = parser;
    // A read of what is left costs less than another read behind it would.
    size = payloadLeft > size ? LEAST : Math.min(size * 2, MOST);
    if (payloadLeft > size) parser.skip(Math.min(payloadLeft, tar.size - parser.offset));
  }
  parser.end();
}
