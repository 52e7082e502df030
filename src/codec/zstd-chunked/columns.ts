/**
 * Columns of numbers and bytes that grow without being copied: a table of contents of half a million entries is kept in these, because as many
 * objects would not fit beside a pull.
 */
const PAGE_BITS = 14;
const PAGE_ROWS = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_ROWS - 1;
const HEAP_PAGE_BYTES = 1 << 20;

type Numbers = Float64Array | Uint32Array | Uint16Array | Uint8Array;

/** One number for each row. */
export class Column {
  readonly #newPage: () => Numbers;
  readonly #pages: Numbers[] = [];
  #length = 0;

  constructor(type: "f64" | "u32" | "u16" | "u8") {
    const types = { f64: Float64Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array };
    const Type = types[type];
    this.#newPage = () => new Type(PAGE_ROWS);
  }

  get length(): number {
    return this.#length;
  }

  /** That it takes in memory: what of a page was never written to takes none. */
  get bytes(): number {
    return this.#length * (this.#pages[0]?.BYTES_PER_ELEMENT ?? 0);
  }

  push(value: number): void {
    const at = this.#length++ & PAGE_MASK;
    if (at === 0) this.#pages.push(this.#newPage());
    this.#pages.at(-1)![at] = value;
  }

  get(row: number): number {
    return this.#pages[row >>> PAGE_BITS]![row & PAGE_MASK]!;
  }

  set(row: number, value: number): void {
    this.#pages[row >>> PAGE_BITS]![row & PAGE_MASK] = value;
  }
}

/** So many bytes for each row. */
export class BytesColumn {
  readonly #width: number;
  readonly #pages: Buffer[] = [];
  #length = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /** As those of a column. */
  get bytes(): number {
    return this.#length * this.#width;
  }

  /** A new row of zeros, to be filled. */
  push(): Buffer {
    const at = this.#length++ & PAGE_MASK;
    if (at === 0) this.#pages.push(Buffer.alloc(PAGE_ROWS * this.#width));
    return this.get(this.#length - 1);
  }

  get(row: number): Buffer {
    const at = (row & PAGE_MASK) * this.#width;
    return this.#pages[row >>> PAGE_BITS]!.subarray(at, at + this.#width);
  }
}

/** Byte strings of any length up to a page of 1 MiB, each found again by where it begins. */
export class BytesHeap {
  readonly #limit: number;
  readonly #pages: Buffer[] = [];
  #used = HEAP_PAGE_BYTES;

  /** @param limit bytes of all pages together; at most 4 GiB */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** As those of a column. */
  get bytes(): number {
    return this.#pages.length * HEAP_PAGE_BYTES - (HEAP_PAGE_BYTES - this.#used);
  }

  /** Copies the bytes. @returns where they begin, or undefined when they do not fit */
  push(bytes: Uint8Array): number | undefined {
    if (bytes.length > HEAP_PAGE_BYTES) return undefined;
    // Also an empty string has to begin within a page.
    if (this.#used + Math.max(1, bytes.length) > HEAP_PAGE_BYTES) {
      if ((this.#pages.length + 1) * HEAP_PAGE_BYTES > this.#limit) return undefined;
      this.#pages.push(Buffer.alloc(HEAP_PAGE_BYTES));
      this.#used = 0;
    }
    const at = this.#used;
    this.#pages.at(-1)!.set(bytes, at);
    this.#used += bytes.length;
    return (this.#pages.length - 1) * HEAP_PAGE_BYTES + at;
  }

  /** Whether the string at `start` is the first `length` bytes of `bytes`. */
  equals(start: number, length: number, bytes: Uint8Array): boolean {
    const at = start % HEAP_PAGE_BYTES;
    return this.#pages[Math.floor(start / HEAP_PAGE_BYTES)]!.compare(bytes, 0, length, at, at + length) === 0;
  }

  get(start: number, length: number): Buffer {
    const at = start % HEAP_PAGE_BYTES;
    return this.#pages[Math.floor(start / HEAP_PAGE_BYTES)]!.subarray(at, at + length);
  }
}
