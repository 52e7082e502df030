/** A TOML file as an attacker-free but error-prone user wrote it: typed reading with errors that name the file. */
import { parse } from "smol-toml";
import { VarveError } from "../../errors/varve-error.ts";

export type Table = Readonly<Record<string, unknown>>;

export function parseToml(text: string, path: string): Table {
  try {
    return parse(text);
  } catch (cause) {
    const line = (cause as { line?: number }).line;
    const where = line === undefined ? "" : ` (line ${line})`;
    throw new VarveError("CONFIGURATION_INVALID", `${path} is not TOML${where}`, { cause });
  }
}

/** Reads the fields of one table, each with the type it must have. */
export class TableReader {
  readonly #table: Table;
  readonly #path: string;

  constructor(table: Table, path: string) {
    this.#table = table;
    this.#path = path;
  }

  get path(): string {
    return this.#path;
  }

  keys(): string[] {
    return Object.keys(this.#table);
  }

  raw(key: string): unknown {
    return Object.hasOwn(this.#table, key) ? this.#table[key] : undefined;
  }

  text(key: string): string | undefined {
    const value = this.raw(key);
    return value === undefined || typeof value === "string" ? value : this.refuse(key, "must be a string");
  }

  flag(key: string): boolean {
    const value = this.raw(key);
    if (value === undefined) return false;
    return typeof value === "boolean" ? value : this.refuse(key, "must be true or false");
  }

  /** A string counts as a list of one. */
  texts(key: string): string[] {
    const value = this.raw(key);
    if (value === undefined) return [];
    if (typeof value === "string") return [value];
    const texts = Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
    const right = Array.isArray(value) && texts.length === value.length;
    return right ? texts : this.refuse(key, "must be a string or a list of strings");
  }

  table(key: string): TableReader | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    return isTable(value) ? new TableReader(value, this.#path) : this.refuse(key, "must be a table");
  }

  tables(key: string): TableReader[] {
    const value = this.raw(key);
    if (value === undefined) return [];
    if (!Array.isArray(value) || !value.every(isTable)) return this.refuse(key, "must be a list of tables");
    return value.map((table) => new TableReader(table, this.#path));
  }

  refuse(key: string, what: string): never {
    throw new VarveError("CONFIGURATION_INVALID", `${this.#path}: ${key} ${what}`);
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
