/**
 * Reads a tar that is a file for its headers only: payload is not read but for what lies in a read together with a header. What is
 * read at once grows where members are small and shrinks where they are not.
 */
import { fstatSync, readSync } from "node:fs";
import type { TarHandler, TarLimits } from "../codec/tar/entry.ts";
import { TarParser } from "../codec/tar/parser.ts";

const LEAST = 4 << 10;
const MOST = 256 << 10;

/**
 * Gives the members of a tar to the handler, to the end of the archive; what follows it is left alone. The handler must have `skip`.
 * @param file descriptor, read at positions
 * @returns bytes that were read
 * @throws LAYER_INVALID, LAYER_LIMIT, what the handler throws, NodeJS.ErrnoException
 */
export function readHeaders(
  file: number,
  handler: TarHandler & Required<Pick<TarHandler, "skip">>,
  limits?: TarLimits,
): number {
  let total = 0;
  for (const length of readingHeaders(file, handler, limits)) total += length;
  return total;
}

/** The same, told of each read: its bytes. */
export function* readingHeaders(
  file: number,
  handler: TarHandler & Required<Pick<TarHandler, "skip">>,
  limits?: TarLimits,
): Generator<number> {
  const parser = new TarParser(handler, limits);
  const end = fstatSync(file).size;
  const buffer = Buffer.allocUnsafeSlow(MOST);
  let size = LEAST;
  while (!parser.archiveEnded) {
    const length = readSync(file, buffer, 0, size, parser.offset);
    if (length === 0) break;
    parser.write(buffer.subarray(0, length));
    const { payloadLeft } = parser;
    // A read of what is left costs less than another read behind it would.
    size = payloadLeft > size ? LEAST : Math.min(size * 2, MOST);
    if (payloadLeft > size) parser.skip(Math.min(payloadLeft, end - parser.offset));
    yield length;
  }
  parser.end();
}
