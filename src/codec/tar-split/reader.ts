/**
 * Reads a tar-split as it streams by, one line in memory at a time. It may come from the network (inside a
 * zstd:chunked layer), so nothing in it is believed: lengths, numbers, base64, and names are all checked.
 */
import { isUtf8 } from "node:buffer";
import { VarveError } from "../../errors/varve-error.ts";
import { decodeName } from "../../sys/path-bytes.ts";
import { cleanPath } from "./clean-path.ts";
import { FILE_TYPE, SEGMENT_TYPE, type TarSplitEntry } from "./entry.ts";

export interface TarSplitReadOptions {
  /** Bytes of one line. Default 32 MiB, room for a segment of 16 MiB and more. */
  readonly lineBytes?: number;
  /** UTF-16 units of all names, held in memory to find duplicates. Default 256 Mi. */
  readonly nameBytes?: number;
}

const MIB = 1024 * 1024;
const NEWLINE = 0x0a;
const CRC_BYTES = 8;

const invalid = (line: number, what: string, cause?: unknown): VarveError =>
  new VarveError("TAR_SPLIT_INVALID", `line ${line} of the tar-split ${what}`, { cause, detail: { line } });

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
    const record = parseLine(line, number);
    const position = record["position"];
    if (!Number.isSafeInteger(position) || (position as number) <= lastPosition) {
      throw invalid(number, "is out of order");
    }
    lastPosition = position as number;
    const entry = toEntry(record, number);
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

function parseLine(line: Buffer, number: number): Record<string, unknown> {
  if (!isUtf8(line)) throw invalid(number, "is not UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(line.toString("utf8"));
  } catch (error) {
    throw invalid(number, "is not JSON", error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(number, "is no object");
  return value as Record<string, unknown>;
}

function toEntry(record: Record<string, unknown>, number: number): TarSplitEntry {
  const payload = decodeBase64(record["payload"], number);
  if (record["type"] === SEGMENT_TYPE) return { type: "segment", bytes: payload };
  if (record["type"] !== FILE_TYPE) throw invalid(number, "has an unknown type");
  const size = record["size"] ?? 0;
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw invalid(number, "has an impossible size");
  if (size === 0) return { type: "file", name: nameOf(record, number), size, crc: undefined };
  if (payload.length !== CRC_BYTES) throw invalid(number, "has no CRC of eight bytes");
  return { type: "file", name: nameOf(record, number), size: size as number, crc: payload };
}

function nameOf(record: Record<string, unknown>, number: number): string {
  const raw = decodeBase64(record["name_raw"], number);
  const name = raw.length > 0 ? decodeName(raw) : (record["name"] ?? "");
  // A lone surrogate in JSON would be taken for an escaped byte, which only `name_raw` may bring in.
  if (typeof name !== "string" || name.includes("\0") || (raw.length === 0 && !name.isWellFormed())) {
    throw invalid(number, "has an impossible name");
  }
  return name;
}

function decodeBase64(value: unknown, number: number): Uint8Array {
  if (value === undefined || value === null) return new Uint8Array(0);
  if (typeof value !== "string") throw invalid(number, "has a payload that is no text");
  try {
    return Uint8Array.fromBase64(value, { lastChunkHandling: "strict" });
  } catch (error) {
    throw invalid(number, "has a payload that is not base64", error);
  }
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
