/**
 * One member of a tar as the table of contents has it (formats "zstd-chunked" §1.3), as podman's writer spells it: fields in its order, those
 * that are zero or empty left out.
 */
import { encodeName } from "../../sys/path-bytes.ts";
import { goString } from "../go-json.ts";
import type { TarEntry, TarTime } from "../tar/entry.ts";
import { FLAG } from "../tar/member-type.ts";
import { TOC_TYPES } from "./member-sum.ts";

/** Go writes years of four digits and refuses others. */
const FIRST_SECOND = Date.parse("0000-01-01T00:00:00Z") / 1000;
const LAST_SECOND = Date.parse("9999-12-31T23:59:59Z") / 1000;

/** What a file's content came to in the blob. */
export interface WrittenContent {
  /** `sha256:...` of the whole. */
  readonly digest: string;
  /** Where its frames begin and end in the blob. */
  readonly start: number;
  readonly end: number;
  /** Undefined where there is only one. */
  readonly firstChunk: WrittenChunk | undefined;
}

export interface WrittenChunk {
  /** Where its frames begin in the blob. */
  readonly start: number;
  /** In the file. */
  readonly offset: number;
  readonly size: number;
  readonly digest: string;
  readonly zeros: boolean;
}

/** Why an entry cannot tell all that the tar says of the member; undefined when it can. */
export function whyNotInToc(entry: TarEntry): string | undefined {
  const { name, linkName, xattrs, stated, modifiedAt, accessedAt, changedAt } = entry;
  if (entry.typeFlag === FLAG.contiguous) return "a member of a type that tables of contents have not";
  const names = [name, linkName, stated?.linkName ?? "", ...(xattrs?.keys() ?? [])];
  if (!names.every((text) => text.isWellFormed())) return "a name that is not UTF-8";
  const numbers = [entry.uid, entry.gid, entry.deviceMajor, entry.deviceMinor, stated?.size ?? 0, stated?.mode ?? 0];
  if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0))
    return "a number below zero, or an absurd one";
  const times = [modifiedAt, accessedAt, changedAt];
  return times.every(isWritable) ? undefined : "a time that is more than 9999 years after Christ, or before";
}

function isWritable(time: TarTime | undefined): boolean {
  return time === undefined || (time.seconds >= FIRST_SECOND && time.seconds <= LAST_SECOND);
}

/** @param content undefined for members without payload */
export function tocLine(entry: TarEntry, content: WrittenContent | undefined): string {
  const { mode = entry.mode, linkName = entry.linkName, size = entry.size } = entry.stated ?? {};
  return [
    `{"type":"${TOC_TYPES[entry.type]}","name":${goString(entry.name)}`,
    linkName === "" ? "" : `,"linkName":${goString(linkName)}`,
    number("mode", mode),
    number("size", size),
    number("uid", entry.uid),
    number("gid", entry.gid),
    time("modtime", entry.modifiedAt),
    time("accesstime", entry.accessedAt),
    time("changetime", entry.changedAt),
    number("devMajor", entry.deviceMajor),
    number("devMinor", entry.deviceMinor),
    attributes(entry.xattrs),
    content === undefined ? "" : contentFields(content),
    "}",
  ].join("");
}

function contentFields({ digest, start, end, firstChunk }: WrittenContent): string {
  const chunk = firstChunk === undefined ? "" : chunkFields(firstChunk);
  return `,"digest":"${digest}","offset":${start},"endOffset":${end}${chunk}`;
}

/** The second and the following chunks of a file have an entry each. */
export function chunkLine(name: string, chunk: WrittenChunk): string {
  return `{"type":"chunk","name":${goString(name)},"offset":${chunk.start}${chunkFields(chunk)}}`;
}

function chunkFields({ size, offset, digest, zeros }: WrittenChunk): string {
  const type = zeros ? ',"chunkType":"zeros"' : "";
  return `${number("chunkSize", size)}${number("chunkOffset", offset)},"chunkDigest":"${digest}"${type}`;
}

function number(key: string, value: number): string {
  return value === 0 ? "" : `,"${key}":${value}`;
}

/** RFC 3339 in UTC, fractions without zeros at their end. */
function time(key: string, value: TarTime | undefined): string {
  if (value === undefined) return "";
  const seconds = new Date(value.seconds * 1000).toISOString().slice(0, 19);
  const fraction = value.nanoseconds === 0 ? "" : `.${String(value.nanoseconds).padStart(9, "0").replace(/0+$/, "")}`;
  return `,"${key}":"${seconds}${fraction}Z"`;
}

/** Sorted by the bytes of their names, as Go sorts the keys of maps. */
function attributes(xattrs: ReadonlyMap<string, Uint8Array> | undefined): string {
  if (xattrs === undefined || xattrs.size === 0) return "";
  const sorted = [...xattrs].sort(([a], [b]) => Buffer.compare(encodeName(a), encodeName(b)));
  const fields = sorted.map(([name, value]) => `${goString(name)}:"${Buffer.from(value).toString("base64")}"`);
  return `,"xattrs":{${fields.join(",")}}`;
}
