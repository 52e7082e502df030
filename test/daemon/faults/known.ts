/**
 * What the daemon has said that it has, and so must have. A request whose answer never came leaves two possibilities until an answer says
 * which of them it was.
 */
export class Known<Value> {
  readonly #possible = new Map<string, readonly (Value | undefined)[]>();

  /** What may stand under a key; undefined for nothing. */
  of(key: string): readonly (Value | undefined)[] {
    return this.#possible.get(key) ?? [undefined];
  }

  keys(): string[] {
    return [...this.#possible.keys()];
  }

  /** Those that are there for sure. */
  sure(): [string, Value][] {
    return [...this.#possible].flatMap(([key, [value, ...more]]): [string, Value][] =>
      value !== undefined && more.length === 0 ? [[key, value]] : [],
    );
  }

  is(key: string, value: Value | undefined): void {
    this.#possible.set(key, [value]);
  }

  /** It may be this now, or still what it was. */
  maybe(key: string, value: Value | undefined): void {
    this.#possible.set(key, [...new Set([...this.of(key), value])]);
  }

  /** @throws Error when it cannot be what was found; what was open is settled by it */
  found(key: string, value: Value | undefined): void {
    const possible = this.of(key);
    if (!possible.includes(value)) {
      const told = (one: Value | undefined): string => (one === undefined ? "nothing" : String(one));
      throw new Error(`${key} is ${told(value)}, not ${possible.map(told).join(" or ")}`);
    }
    this.is(key, value);
  }
}
