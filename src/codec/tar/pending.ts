/**
 * What extension members (PAX `x`, GNU `L` and `K`) said of the member that comes next, and how it is merged into the
 * header of that member: PAX first, then GNU long names, then the meaning of an old type flag, then a sparse map.
 */
import { nameLength } from "../../sys/path-bytes.ts";
import type { TarType } from "./entry.ts";
import { invalid, overLimit, quoted } from "./fault.ts";
import { FLAG, isHeaderOnly, typeOf } from "./member-type.ts";
import { mergePax, parsePax, type PaxRecords } from "./pax.ts";
import { readText, type Draft } from "./read-header.ts";

export class PendingExtensions {
  readonly #nameBytes: number;
  #pax: PaxRecords | undefined;
  #longName = "";
  #longLink = "";

  constructor(nameBytes: number) {
    this.#nameBytes = nameBytes;
  }

  get pax(): PaxRecords | undefined {
    return this.#pax;
  }

  clear(): void {
    this.#pax = undefined;
    this.#longName = "";
    this.#longLink = "";
  }

  /** Takes an extension's whole payload, `bytes[from, to)`. A global header is checked, and drops what came before. */
  add(flag: number, bytes: Buffer, from: number, to: number, offset: number): void {
    switch (flag) {
      case FLAG.extendedHeader:
        this.#pax = parsePax(bytes, from, to, offset, this.#nameBytes);
        break;
      case FLAG.globalHeader:
        parsePax(bytes, from, to, offset, this.#nameBytes);
        this.clear();
        break;
      case FLAG.longName:
        this.#longName = readText(bytes, from, to);
        break;
      default:
        this.#longLink = readText(bytes, from, to);
    }
  }

  /** Merges everything but a sparse map into the header. @throws LAYER_INVALID, LAYER_LIMIT */
  mergeInto(draft: Draft, offset: number): void {
    if (this.#pax !== undefined) mergePax(draft, this.#pax, offset);
    if (this.#longName !== "") draft.name = this.#longName;
    if (this.#longLink !== "") draft.linkName = this.#longLink;
    draft.type = this.#typeOf(draft, offset);
    const { linkName, storedSize: size } = draft;
    if (draft.type !== "link" && draft.type !== "symlink") draft.linkName = "";
    if (draft.type !== "file") draft.storedSize = 0;
    else checkStoredSize(draft.storedSize, offset);
    draft.size = draft.storedSize;
    if (draft.stated !== undefined || linkName !== draft.linkName || size !== draft.size) {
      draft.stated = { mode: draft.stated?.mode ?? draft.mode, linkName, size };
    }
    this.checkName(draft.name, offset);
    this.checkName(draft.linkName, offset);
  }

  checkName(name: string, offset: number): void {
    // UTF-8 has at most three bytes for each UTF-16 unit, so that short names need no count.
    if (name.length * 3 <= this.#nameBytes) return;
    const length = nameLength(name);
    if (length > this.#nameBytes) {
      throw overLimit(`a name of ${length} bytes passes the limit of ${this.#nameBytes}`, offset);
    }
  }

  #typeOf(draft: Draft, offset: number): TarType {
    const type = typeOf(draft.typeFlag, draft.name);
    if (type !== undefined) return type;
    const flag = draft.typeFlag.toString(16).padStart(2, "0");
    throw invalid(`member ${quoted(draft.name)} has the unknown type flag 0x${flag}`, offset);
  }
}

/** The size field of a header that is followed by data. @throws LAYER_INVALID */
export function checkStoredSize(size: number, offset: number): void {
  if (size < 0) throw invalid("the size of a member is negative", offset);
  if (!Number.isSafeInteger(offset + size)) throw invalid("the size of a member is absurd", offset);
}

/** As `checkStoredSize`, for the plain header, before any extension could mend it. */
export function checkHeaderSize(draft: Draft, offset: number): void {
  if (!isHeaderOnly(draft.typeFlag) && draft.storedSize < 0) throw invalid("the size of a member is negative", offset);
}
