/**
 * A table of contents repeats what the headers of the tar say, and both must say the same (formats "zstd-chunked" §2). This is a sum over what
 * they say of one member, of 53 bits, so that half a million of them can be kept and compared. It is no proof and needs to be none: what is assembled
 * is held to the DiffID.
 */
import type { TarEntry } from "../tar/entry.ts";
import type { TocEntry } from "./toc-entry.ts";

/** What a table of contents calls the types of members. */
export const TOC_TYPES: Readonly<Record<TarEntry["type"], TocEntry["type"]>> = {
  file: "reg",
  link: "hardlink",
  symlink: "symlink",
  char: "char",
  block: "block",
  directory: "dir",
  fifo: "fifo",
};

/** Of what the table of contents says. */
export function sumOfTocEntry(entry: TocEntry): number {
  const names = entry.xattrs === undefined ? [] : Object.keys(entry.xattrs);
  const xattrs = names.map((name): [string, string] => [name, entry.xattrs?.[name] ?? ""]);
  return sumOf(entry, [entry.modifiedAt, entry.accessedAt, entry.changedAt], xattrs);
}

/** Of what the tar says. */
export function sumOfTarEntry(entry: TarEntry): number {
  const { modifiedAt, accessedAt, changedAt } = entry;
  const time = (of: TarEntry["accessedAt"]): string =>
    of === undefined ? "" : timeText(of.seconds, String(of.nanoseconds).padStart(9, "0"));
  const xattrs = [...(entry.xattrs ?? [])].map(([name, value]): [string, string] => [
    name,
    Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64"),
  ]);
  // Go's reader hands on the link names of members that are no links, and so they stand in the table of contents.
  const linkName = entry.stated?.linkName ?? entry.linkName;
  return sumOf(
    { ...entry, linkName, type: TOC_TYPES[entry.type] },
    [modifiedAt, accessedAt, changedAt].map(time),
    xattrs,
  );
}

/** A time as it is compared: no time and the epoch are one, as in podman. @param nanoseconds nine digits */
export function timeText(seconds: number, nanoseconds: string): string {
  return seconds === 0 && nanoseconds === "000000000" ? "" : `${seconds}.${nanoseconds}`;
}

type Common = Pick<TocEntry, "type" | "linkName" | "mode" | "size" | "uid" | "gid" | "deviceMajor" | "deviceMinor">;

function sumOf(of: Common, times: readonly string[], xattrs: [string, string][]): number {
  // Sizes and devices count only where they mean something: old tars have them in headers of other members too.
  const size = of.type === "reg" ? of.size : 0;
  const device = of.type === "char" || of.type === "block" ? `${of.deviceMajor}:${of.deviceMinor}` : "";
  const text = `${of.type} ${of.mode & 0o7777} ${size} ${of.uid}:${of.gid} ${device} ${times.join(" ")}\0${of.linkName}`;
  if (xattrs.length === 0) return sumOfText(text);
  const sorted = xattrs.map(([name, value]) => `\0${name}\0${value}`).sort();
  return sumOfText(text + sorted.join(""));
}

/** Two multiplicative hashes side by side, of which 53 bits are kept: what a number holds exactly. */
function sumOfText(text: string): number {
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b) ^ (high >>> 15);
  }
  low ^= high >>> 13;
  high ^= Math.imul(low, 0xc2b2ae35) >>> 11;
  return (high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0);
}
