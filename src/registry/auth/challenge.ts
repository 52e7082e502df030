/** `WWW-Authenticate`, RFC 9110 §11.6.1: several challenges may share one header, and schemes are case-insensitive. */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  /** Names in lower case; the first of a repeated one counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

const LONGEST = 16 * 1024;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;
const SPACE = /[ \t]*/y;

/** All challenges, in order. What cannot be read ends the reading; what was read before it stands. */
export function parseChallenges(value: string | readonly string[] | undefined): Challenge[] {
  if (value === undefined) return [];
  const headers = typeof value === "string" ? [value] : value;
  return headers.flatMap((text) => (text.length > LONGEST ? [] : new Reader(text).challenges()));
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  challenges(): Challenge[] {
    const found: Challenge[] = [];
    for (;;) {
      this.#commas();
      const scheme = this.#match(TOKEN);
      if (scheme === undefined) return found;
      const spaced = this.#match(SPACE) !== "";
      const parameters = new Map<string, string>();
      found.push({ scheme: scheme.toLowerCase(), parameters });
      if (!spaced) continue;
      const blob = this.#peekParameter() ? undefined : this.#match(TOKEN68);
      if (blob === undefined) this.#parameters(parameters);
    }
  }

  #parameters(parameters: Map<string, string>): void {
    for (;;) {
      this.#commas();
      if (!this.#peekParameter()) return;
      const name = (this.#match(TOKEN) ?? "").toLowerCase();
      this.#match(SPACE);
      this.#at++;
      this.#match(SPACE);
      const value = this.#text[this.#at] === '"' ? this.#quoted() : (this.#match(TOKEN68) ?? this.#match(TOKEN));
      if (value === undefined) {
        this.#at = this.#text.length;
        return;
      }
      if (!parameters.has(name)) parameters.set(name, value);
    }
  }

  /** Is `name =` next, and not the scheme of another challenge or a bare token68? */
  #peekParameter(): boolean {
    const rest = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=(?!=*[ \t]*(?:,|$))/;
    const empty = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[ \t]*""/;
    const tail = this.#text.slice(this.#at);
    return rest.test(tail) || empty.test(tail);
  }

  #quoted(): string | undefined {
    let value = "";
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const char = this.#text[at];
      if (char === '"') {
        this.#at = at + 1;
        return value;
      }
      value += char === "\\" ? (this.#text[++at] ?? "") : (char ?? "");
    }
    return undefined;
  }

  #commas(): void {
    while (/[ \t,]/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}
