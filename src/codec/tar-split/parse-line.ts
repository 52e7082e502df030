/** One line of a tar-split to its entry; nothing in it is believed. */
import { isUtf8 } from "node:buffer";
import { VarveError } from "../../errors/varve-error.ts";
import { decodeName } from "../../sys/path-bytes.ts";
import { FILE_TYPE, SEGMENT_TYPE, type TarSplitEntry } from "./entry.ts";

const CRC_BYTES = 8;
const QUOTE = 0x22;
const SEGMENT_START = Buffer.from(`{"type":${SEGMENT_TYPE},"payload":"`);
/** What follows the payload of a segment. */
const SEGMENT_END = /^","position":([0-9]{1,15})\}$/;

export interface TarSplitLine {
  readonly position: number;
  readonly entry: TarSplitEntry;
}

/** @throws TAR_SPLIT_INVALID */
export function parseLine(line: Buffer, number: number): TarSplitLine {
  return parseSegment(line, number) ?? parseRecord(parseJson(line, number), number);
}

/** The form that all writers give a segment: most of a tar-split is these, and JSON.parse would copy them twice over. */
function parseSegment(line: Buffer, number: number): TarSplitLine | undefined {
  const from = SEGMENT_START.length;
  if (line.length < from || SEGMENT_START.compare(line, 0, from) !== 0) return undefined;
  const to = line.indexOf(QUOTE, from);
  const end = to < 0 || line.length - to > 64 ? null : SEGMENT_END.exec(line.toString("latin1", to));
  if (end === null) return undefined;
  const bytes = decodeBase64(line.toString("latin1", from, to), number);
  return { position: Number(end[1]), entry: { type: "segment", bytes } };
}

function parseRecord(record: Record<string, unknown>, number: number): TarSplitLine {
  const position = record["position"];
  if (!Number.isSafeInteger(position)) throw invalid(number, "is out of order");
  return { position: position as number, entry: toEntry(record, number) };
}

export function invalid(line: number, what: string, cause?: unknown): VarveError {
  return new VarveError("TAR_SPLIT_INVALID", `line ${line} of the tar-split ${what}`, { cause, detail: { line } });
}

function parseJson(line: Buffer, number: number): Record<string, unknown> {
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

/** Payloads are put into buffers of this size: one allocation for each costs more than decoding it. */
const SLAB_BYTES = 64 * 1024;
let slab = new Uint8Array(0);
let slabUsed = 0;

function decodeBase64(value: unknown, number: number): Uint8Array {
  if (value === undefined || value === null) return new Uint8Array(0);
  if (typeof value !== "string") throw invalid(number, "has a payload that is no text");
  const most = Math.ceil(value.length / 4) * 3;
  if (slabUsed + most > slab.length) {
    slab = new Uint8Array(Math.max(SLAB_BYTES, most));
    slabUsed = 0;
  }
  const room = slab.subarray(slabUsed, slabUsed + most);
  try {
    const { written } = room.setFromBase64(value, { lastChunkHandling: "strict" });
    slabUsed += written;
    return room.subarray(0, written);
  } catch (error) {
    throw invalid(number, "has a payload that is not base64", error);
  }
}
