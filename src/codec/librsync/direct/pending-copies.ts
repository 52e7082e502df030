/**
 * Copies that were found and are not written yet, in their order: a later one may hold them. There are hundreds of thousands to a window, so they are
 * numbers in one list that is kept, not objects that the collector has to find.
 */
const FIELDS = 3;

export class PendingCopies {
  /** Of each: where it begins in the window, where in the base, and its length. */
  #numbers = new Float64Array(1024 * FIELDS);
  #count = 0;

  /** Where the last one ends in the window; 0 for none. */
  get end(): number {
    if (this.#count === 0) return 0;
    const last = (this.#count - 1) * FIELDS;
    return this.#numbers[last]! + this.#numbers[last + 2]!;
  }

  add(from: number, place: number, length: number): void {
    const at = this.#count * FIELDS;
    if (at === this.#numbers.length) {
      const grown = new Float64Array(2 * at);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[at] = from;
    this.#numbers[at + 1] = place;
    this.#numbers[at + 2] = length;
    this.#count++;
  }

  /** Forgets those that begin there or behind. */
  dropFrom(from: number): void {
    while (this.#count > 0 && this.#numbers[(this.#count - 1) * FIELDS]! >= from) this.#count--;
  }

  /** Gives those that begin before, and forgets them. */
  takeBefore(to: number, take: (from: number, place: number, length: number) => void): void {
    const numbers = this.#numbers;
    let at = 0;
    const end = this.#count * FIELDS;
    for (; at < end && numbers[at]! < to; at += FIELDS) take(numbers[at]!, numbers[at + 1]!, numbers[at + 2]!);
    numbers.copyWithin(0, at, end);
    this.#count -= at / FIELDS;
  }

  /** The window has moved on by so many bytes. */
  moveBack(bytes: number): void {
    for (let at = 0; at < this.#count * FIELDS; at += FIELDS) this.#numbers[at]! -= bytes;
  }
}
