/** The extended attributes behind an inode; those that several inodes share lie elsewhere, and are read once. */
import { decodeName } from "../../sys/path-bytes.ts";
import { damaged } from "./fault.ts";
import type { IndexHead } from "./read-head.ts";
import type { RawInode } from "./read-inode.ts";
import type { IndexBytes } from "./source.ts";
import { XATTR_ENTRY_BYTES, XATTR_HEADER_BYTES, XATTR_NAMESPACES } from "./xattrs.ts";

const SHARED_ID_BYTES = 4;

interface Xattr {
  readonly name: string;
  readonly value: Uint8Array;
  /** Bytes that it takes, with the zeros behind it. */
  readonly length: number;
}

export class XattrReader {
  readonly #index: IndexBytes;
  readonly #head: IndexHead;
  readonly #charge: (bytes: number, position: number) => void;
  readonly #shared = new Map<number, Xattr>();

  /** @param charge is told of all that is read, so that bytes cannot be read over and over; may throw */
  constructor(index: IndexBytes, head: IndexHead, charge: (bytes: number, position: number) => void) {
    this.#index = index;
    this.#head = head;
    this.#charge = charge;
  }

  /** Undefined when it has none. @throws INDEX_INVALID */
  read({ xattrsAt, xattrBytes }: RawInode): Map<string, Uint8Array> | undefined {
    if (xattrBytes === 0) return undefined;
    this.#charge(xattrBytes, xattrsAt);
    const at = this.#index.seek(xattrsAt, xattrBytes);
    const sharedCount = this.#index.bytes[at + 4] ?? 0;
    const entriesFrom = XATTR_HEADER_BYTES + sharedCount * SHARED_ID_BYTES;
    if (entriesFrom > xattrBytes) throw damaged("extended attributes are cut short", xattrsAt);
    const found = new Map<string, Uint8Array>();
    for (let offset = 0; offset < sharedCount; offset++) {
      add(found, this.#readShared(xattrsAt + XATTR_HEADER_BYTES + offset * SHARED_ID_BYTES), xattrsAt);
    }
    for (let offset = entriesFrom; offset < xattrBytes;) {
      const xattr = this.#readEntry(xattrsAt + offset, xattrBytes - offset);
      if (xattr !== undefined) add(found, xattr, xattrsAt);
      offset += xattr?.length ?? XATTR_ENTRY_BYTES;
    }
    return found.size === 0 ? undefined : found;
  }

  #readShared(idAt: number): Xattr {
    const id = this.#index.view.getUint32(this.#index.seek(idAt, SHARED_ID_BYTES), true);
    const known = this.#shared.get(id);
    if (known !== undefined) return known;
    const position = this.#head.sharedXattrsAt + id * SHARED_ID_BYTES;
    const xattr = this.#readEntry(position, Infinity);
    if (xattr === undefined) throw damaged("a shared extended attribute is none", position);
    this.#charge(xattr.length, position);
    this.#shared.set(id, xattr);
    return xattr;
  }

  /** Undefined for four zeros, which stand for nothing. */
  #readEntry(position: number, room: number): Xattr | undefined {
    const { bytes, view, at } = this.#seek(position, XATTR_ENTRY_BYTES);
    if (view.getUint32(at, true) === 0) return undefined;
    const nameLength = bytes[at] ?? 0;
    const valueLength = view.getUint16(at + 2, true);
    const prefix = XATTR_NAMESPACES.get(bytes[at + 1] ?? 0);
    const length = (XATTR_ENTRY_BYTES + nameLength + valueLength + 3) & ~3;
    if (length > room) throw damaged("an extended attribute is cut short", position);
    if (prefix === undefined || prefix.endsWith(".") !== nameLength > 0) {
      throw damaged("an extended attribute has no known name", position);
    }
    const entry = this.#seek(position, XATTR_ENTRY_BYTES + nameLength + valueLength);
    const from = entry.at + XATTR_ENTRY_BYTES;
    const suffix = entry.bytes.subarray(from, from + nameLength);
    if (suffix.includes(0)) throw damaged("an extended attribute has no known name", position);
    const value = Uint8Array.from(entry.bytes.subarray(from + nameLength, from + nameLength + valueLength));
    return { name: prefix + decodeName(suffix), value, length };
  }

  #seek(position: number, length: number): { readonly bytes: Buffer; readonly view: DataView; readonly at: number } {
    const at = this.#index.seek(position, length);
    return { bytes: this.#index.bytes, view: this.#index.view, at };
  }
}

function add(found: Map<string, Uint8Array>, { name, value }: Xattr, position: number): void {
  if (found.has(name)) throw damaged("an extended attribute is there twice", position);
  found.set(name, value);
}
