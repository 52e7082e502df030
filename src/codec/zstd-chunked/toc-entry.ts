/**
 * One entry of a table of contents, of either schema (formats "zstd-chunked" §1.3, "estargz" §2). It comes from the network; when its digest is
 * right it still is only what whoever made the image claims.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { timeText } from "./member-sum.ts";

const TYPES = ["reg", "hardlink", "symlink", "dir", "char", "block", "fifo", "chunk"] as const;

export interface TocEntry {
  readonly type: (typeof TYPES)[number];
  /** As it stands there: names are compared, never opened. */
  readonly name: string;
  readonly linkName: string;
  /** May have the bits of the file's type, in what old programs wrote. */
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** As `timeText` writes them. */
  readonly modifiedAt: string;
  readonly accessedAt: string;
  readonly changedAt: string;
  /** Values are base64. */
  readonly xattrs: Readonly<Record<string, string>> | undefined;
  readonly digest: Digest | undefined;
  /** In the blob; undefined when there is none, which Go's JSON does not tell from 0. */
  readonly offset: number;
  readonly endOffset: number;
  readonly innerOffset: number;
  readonly chunkOffset: number;
  /** 0 where it is not given. */
  readonly chunkSize: number;
  readonly chunkDigest: Digest | undefined;
  readonly isZeros: boolean;
}

/** Bytes of a name. Longer ones cannot be unpacked anyway, and would only take memory. */
const MAX_NAME_UNITS = 8192;

/** @throws TOC_INVALID */
export function parseTocEntry(value: unknown, number: number): TocEntry {
  if (typeof value !== "object" || value === null) throw invalid(number, "is no object");
  const record = value as Record<string, unknown>;
  const count = (key: string): number => {
    const found = record[key] ?? 0;
    if (!Number.isSafeInteger(found) || (found as number) < 0) throw invalid(number, `has an impossible ${key}`);
    return found as number;
  };
  const text = (key: string): string => {
    const found = record[key] ?? "";
    if (typeof found !== "string" || found.length > MAX_NAME_UNITS || !found.isWellFormed() || found.includes("\0")) {
      throw invalid(number, `has an impossible ${key}`);
    }
    return found;
  };
  const digest = (key: string): Digest | undefined => {
    const found = record[key] ?? "";
    if (found === "") return undefined;
    // The tables have room for one algorithm, and writers know no other.
    if (!isDigest(found) || !found.startsWith("sha256:")) throw invalid(number, `has an impossible ${key}`);
    return found;
  };
  const type = TYPES.find((known) => known === record["type"]);
  if (type === undefined) throw invalid(number, "is of no known type");
  return {
    type,
    name: text("name"),
    linkName: text("linkName"),
    mode: count("mode"),
    size: count("size"),
    uid: count("uid"),
    gid: count("gid"),
    deviceMajor: count("devMajor"),
    deviceMinor: count("devMinor"),
    modifiedAt: time(record["modtime"], number),
    accessedAt: time(record["accesstime"], number),
    changedAt: time(record["changetime"], number),
    xattrs: attributes(record["xattrs"], number),
    digest: digest("digest"),
    offset: count("offset"),
    endOffset: count("endOffset"),
    innerOffset: count("innerOffset"),
    chunkOffset: count("chunkOffset"),
    chunkSize: count("chunkSize"),
    chunkDigest: digest("chunkDigest"),
    isZeros: chunkType(record["chunkType"], number),
  };
}

function chunkType(value: unknown, number: number): boolean {
  if (value === undefined || value === null || value === "") return false;
  if (value !== "zeros") throw invalid(number, "is a chunk of no known type");
  return true;
}

function attributes(value: unknown, number: number): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "object" || !Object.values(value).every((each) => typeof each === "string")) {
    throw invalid(number, "has impossible xattrs");
  }
  return value as Readonly<Record<string, string>>;
}

const RFC_3339 =
  /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})$/;
/** Go's zero time, which writers of some versions spell out. */
const GO_ZERO_TIME = "0001-01-01T00:00:00Z";

function time(value: unknown, number: number): string {
  if (value === undefined || value === null || value === "" || value === GO_ZERO_TIME) return "";
  const parts = typeof value === "string" ? RFC_3339.exec(value) : null;
  const milliseconds = parts === null ? Number.NaN : Date.parse(`${parts[1]}${parts[3]}`);
  if (parts === null || Number.isNaN(milliseconds)) throw invalid(number, "has an impossible time");
  return timeText(milliseconds / 1000, (parts[2] ?? "").padEnd(9, "0"));
}

function invalid(number: number, what: string): VarveError {
  return new VarveError("TOC_INVALID", `entry ${number} of the layer's table of contents ${what}`);
}
