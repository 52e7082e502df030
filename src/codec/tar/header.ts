/**
 * Writes tar headers: plain ustar where everything fits, else with a PAX header before it (POSIX.1-2001), or in GNU's
 * format on request. The same entry always gives the same bytes. Nothing is dropped in silence: what a format cannot
 * hold is an error.
 */
import { BLOCK, paddingOf, sealBlock } from "./block.ts";
import { encodeGnu } from "./encode-gnu.ts";
import { fillUstar, newHeader, refusal, type Writable } from "./encode-ustar.ts";
import type { TarEntry, TarType } from "./entry.ts";
import { encodePax } from "./encode-pax.ts";
import { encodePayloadMap } from "./sparse.ts";

export type TarFormat = "ustar" | "pax" | "gnu";
export type TarEntryInit = Partial<TarEntry> & Pick<TarEntry, "name" | "type">;

/** The end of an archive: two blocks of zeros. Not to be written to. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

const DEFAULT_MODES: Readonly<Record<TarType, number>> = {
  file: 0o644,
  link: 0o644,
  symlink: 0o777,
  char: 0o600,
  block: 0o600,
  directory: 0o755,
  fifo: 0o644,
};

/** The zeros that follow a payload of `size` bytes, up to the next block. Not to be written to. */
export function tarPadding(size: number): Uint8Array {
  return TAR_END.subarray(0, paddingOf(size));
}

/**
 * All header blocks of one member, in order; `storedSize` bytes of payload and `tarPadding(storedSize)` go after them.
 * Defaults: mode by type, everything else zero or empty; the type flag always follows from `type`. A `sparse` entry
 * gets its map in PAX format 1.0, at the end of what is returned.
 * @throws LAYER_INVALID when the format cannot hold the entry (`ustar`: long names, xattrs, fractions of seconds ...;
 * `gnu`: xattrs, fractions, sparse maps; all of them: NUL bytes in names)
 */
export function encodeTarEntry(init: TarEntryInit, options: { readonly format?: TarFormat } = {}): Uint8Array {
  const format = options.format ?? "pax";
  const map = init.sparse === undefined ? Buffer.alloc(0) : encodePayloadMap(init.sparse);
  const entry = withDefaults(init, map.length);
  for (const text of [entry.name, entry.linkName, entry.userName, entry.groupName]) {
    if (text.includes("\0")) throw refusal(entry, "a name holds a NUL");
  }
  if (format === "gnu") return encodeGnu(entry);
  const block = newHeader(entry);
  const records = fillUstar(block, entry);
  sealBlock(block);
  if (records.length === 0) return block;
  if (format === "ustar") throw refusal(entry, `its ${records[0]?.[0] ?? ""} does not fit into a ustar header`);
  return Buffer.concat([encodePax(entry.name, records), block, map]);
}

function withDefaults(init: TarEntryInit, mapBytes: number): Writable {
  const isFile = init.type === "file";
  const isLink = init.type === "link" || init.type === "symlink";
  const stored = init.storedSize ?? init.size ?? 0;
  return {
    type: init.type,
    name: init.name,
    linkName: isLink ? (init.linkName ?? "") : "",
    mode: init.mode ?? DEFAULT_MODES[init.type],
    uid: init.uid ?? 0,
    gid: init.gid ?? 0,
    userName: init.userName ?? "",
    groupName: init.groupName ?? "",
    size: isFile ? (init.size ?? stored) : 0,
    payloadBytes: isFile ? mapBytes + stored : 0,
    modifiedAt: init.modifiedAt ?? { seconds: 0, nanoseconds: 0 },
    accessedAt: init.accessedAt,
    deviceMajor: init.deviceMajor ?? 0,
    deviceMinor: init.deviceMinor ?? 0,
    xattrs: init.xattrs,
    sparse: init.sparse,
  };
}
