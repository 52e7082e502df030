/** Members of a tar for chunked layers, with what a table of contents says of each. */
import { encodeTarEntry, type TarEntryInit, type TarFormat } from "../../../src/codec/tar/header.ts";
import { digestOf } from "../../../src/oci/digest.ts";

export interface ChunkedMember extends TarEntryInit {
  readonly content?: Buffer;
  readonly format?: TarFormat;
}

/** An entry of a table of contents, before it is JSON. */
export type TocRecord = Record<string, unknown> & { readonly type: string; readonly name: string };

const TYPES = {
  file: "reg",
  link: "hardlink",
  symlink: "symlink",
  char: "char",
  block: "block",
  directory: "dir",
  fifo: "fifo",
} as const;

const MODES = { file: 0o644, link: 0o644, symlink: 0o777, char: 0o600, block: 0o600, directory: 0o755, fifo: 0o644 };

export function headerOf({ content = Buffer.alloc(0), format = "pax", ...entry }: ChunkedMember): Uint8Array {
  return encodeTarEntry({ ...entry, size: content.length, storedSize: content.length }, { format });
}

/** What both schemas say of a member, zeros and empty strings left out. */
export function tocRecord({ content = Buffer.alloc(0), ...entry }: ChunkedMember, local = false): TocRecord {
  const time = ({ seconds, nanoseconds }: { seconds: number; nanoseconds: number }): string => {
    const fraction = nanoseconds === 0 ? "" : `.${String(nanoseconds).padStart(9, "0")}`.replace(/0+$/, "");
    const shown = new Date((seconds + (local ? 5400 : 0)) * 1000).toISOString().slice(0, 19);
    return `${shown}${fraction}${local ? "+01:30" : "Z"}`;
  };
  const all = {
    type: TYPES[entry.type],
    name: entry.name,
    linkName: entry.linkName ?? "",
    mode: entry.mode ?? MODES[entry.type],
    size: content.length,
    uid: entry.uid ?? 0,
    gid: entry.gid ?? 0,
    modtime: entry.modifiedAt === undefined ? "" : time(entry.modifiedAt),
    accesstime: entry.accessedAt === undefined ? "" : time(entry.accessedAt),
    devMajor: entry.deviceMajor ?? 0,
    devMinor: entry.deviceMinor ?? 0,
    xattrs:
      entry.xattrs === undefined
        ? ""
        : Object.fromEntries([...entry.xattrs].map(([name, value]) => [name, Buffer.from(value).toString("base64")])),
    digest: content.length > 0 ? digestOf(content) : "",
  };
  return withoutZeros(all) as TocRecord;
}

/** As Go's `omitempty`: type and name stay. */
export function withoutZeros(record: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(record).filter(
    ([key, value]) => key === "type" || key === "name" || (value !== 0 && value !== ""),
  );
  return Object.fromEntries(kept);
}
