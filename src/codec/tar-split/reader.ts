/**
 * Reads a tar-split as it streams by, one line in memory at a time. It may come from the network (inside a
 * zstd:chunked layer), so nothing in it is believed: lengths, numbers, base64, and names are all checked.
 */
import { cleanPath } from "./clean-path.ts";
import type { TarSplitEntry } from "./entry.ts";
import { invalid, parseLine } from "./parse-line.ts";

export interface TarSplitReadOptions {
  /** Bytes of one line. Default 32 MiB, room for a segment of 16 MiB and more. */
  readonly lineBytes?: number;
  /** UTF-16 units of all names, held in memory to find duplicates. Default 256 Mi. */
  readonly nameBytes?: number;
}

const MIB = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The entries of an (uncompressed) tar-split, from its bytes in chunks of any size.
 * @throws TAR_SPLIT_INVALID when it is malformed, names a path twice, or a line passes the limit
 */
export async function* readTarSplit(
  source: AsyncIterable<Uint8Array>,
  options: TarSplitReadOptions = {},
): AsyncGenerator<TarSplitEntry, void, undefined> {
  const { lineBytes = 32 * MIB, nameBytes = 256 * MIB } = options;
  const names = new NameCheck(nameBytes);
  let number = 0;
  let lastPosition = -1;
  for await (const line of splitLines(source, lineBytes)) {
    number++;
    if (line.length === 0) continue;
    const { position, entry } = parseLine(line, number);
    if (position <= lastPosition) throw invalid(number, "is out of order");
    lastPosition = position;
    if (entry.type === "file") names.check(entry.name, number);
    yield entry;
  }
}

/** Cuts the bytes at newlines; each line is lent until the next is asked for. */
async function* splitLines(source: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Buffer, void, undefined> {
  let carry = Buffer.alloc(0);
  let length = 0;
  let number = 1;
  const add = (part: Uint8Array): void => {
    const total = length + part.length;
    if (total > limit) throw invalid(number, `passes the limit of ${limit} bytes`);
    if (total > carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(total, 2 * carry.length));
      grown.set(carry.subarray(0, length));
      carry = grown;
    }
    carry.set(part, length);
    length = total;
  };
  for await (const chunk of source) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at));
      from = at + 1;
      yield carry.subarray(0, length);
      length = 0;
      number++;
    }
    add(chunk.subarray(from));
  }
  if (length > 0) yield carry.subarray(0, length);
}

/** Upstream refuses the same cleaned name twice: the tree has one file for both. */
class NameCheck {
  readonly #seen = new Set<string>();
  readonly #limit: number;
  #units = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  check(name: string, line: number): void {
    const path = cleanPath(name);
    this.#units += path.length;
    if (this.#seen.has(path)) throw invalid(line, "names a file for the second time");
    if (this.#units > this.#limit) throw invalid(line, "passes the limit for names");
    this.#seen.add(path);
  }
}
