/**
 * Names of a table of contents, packed, each findable. Two that are equal are refused: it would be open whose content is meant. So are names that
 * somebody has made to be found in the same place: each look would go through all of them.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { encodeName } from "../../sys/path-bytes.ts";
import { BytesHeap, Column } from "./columns.ts";

/** Bytes of all names: a hundred for each of half a million. */
const MAX_NAME_BYTES = 48 << 20;
/** Slots that are looked at for each name that is looked for, over all of them. Names that nobody has chosen for it need less than two. */
const MOST_STEPS = 8;
const FREE_STEPS = 1000;

export class TocNames {
  readonly #heap = new BytesHeap(MAX_NAME_BYTES);
  readonly #starts = new Column("u32");
  readonly #lengths = new Column("u16");
  #slots = new Int32Array(0);
  #steps = 0;
  #looks = 0;
  readonly #scratch = Buffer.allocUnsafeSlow(64 * 1024);

  get length(): number {
    return this.#starts.length;
  }

  /** That all of it takes in memory, once they can be found. */
  get bytes(): number {
    return this.#heap.bytes + this.#starts.bytes + this.#lengths.bytes + 4 * slotsFor(this.length);
  }

  /** @throws TOC_LIMIT */
  push(name: string): void {
    const bytes = encodeName(name);
    const start = bytes.length > 0xffff ? undefined : this.#heap.push(bytes);
    if (start === undefined)
      throw new VarveError("TOC_LIMIT", "the names in the layer's table of contents are too long");
    this.#starts.push(start);
    this.#lengths.push(bytes.length);
  }

  get(entry: number): string {
    return this.#bytes(entry).toString("utf8");
  }

  /** After the last name. @throws TOC_INVALID when one is there twice; TOC_LIMIT when they are made to collide */
  index(): void {
    this.#slots = new Int32Array(slotsFor(this.length));
    for (let entry = 0; entry < this.length; entry++) {
      const bytes = this.#bytes(entry);
      const slot = this.#slotOf(bytes, bytes.length);
      if (this.#slots[slot] !== 0) {
        const detail = { name: this.get(entry) };
        throw new VarveError("TOC_INVALID", "the layer's table of contents has a name twice", { detail });
      }
      this.#slots[slot] = entry + 1;
    }
  }

  /** The entry of that name, -1 when there is none. @param likely the entry that it probably is @throws TOC_LIMIT as {@link index} */
  find(name: string, likely: number): number {
    // A name that is not well-formed stands for other bytes than UTF-8, which JSON cannot have.
    if (!name.isWellFormed() || name.length > 0xffff / 3) return -1;
    const length = this.#scratch.write(name, "utf8");
    if (likely < this.length && this.#equals(likely, this.#scratch, length)) return likely;
    return (this.#slots[this.#slotOf(this.#scratch, length)] ?? 0) - 1;
  }

  #bytes(entry: number): Buffer {
    return this.#heap.get(this.#starts.get(entry), this.#lengths.get(entry));
  }

  #equals(entry: number, bytes: Buffer, length: number): boolean {
    return this.#lengths.get(entry) === length && this.#heap.equals(this.#starts.get(entry), length, bytes);
  }

  /** The slot that has the name, which is the first `length` bytes, or the free one where it would be. */
  #slotOf(bytes: Buffer, length: number): number {
    const mask = this.#slots.length - 1;
    let hash = 0x811c9dc5;
    for (let at = 0; at < length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let slot = (hash ^ (hash >>> 13)) & mask;
    this.#looks++;
    for (let found = this.#slots[slot]!; found !== 0; found = this.#slots[slot]!) {
      if (this.#equals(found - 1, bytes, length)) break;
      slot = (slot + 1) & mask;
      if (++this.#steps > MOST_STEPS * this.#looks + FREE_STEPS) {
        throw new VarveError("TOC_LIMIT", "the names in the layer's table of contents are made to collide");
      }
    }
    return slot;
  }
}

/** A power of two, at most half full. */
function slotsFor(names: number): number {
  let size = 16;
  while (size < 2 * names) size *= 2;
  return size;
}
