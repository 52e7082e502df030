/** Reads typed members out of parsed JSON; a wrong or missing one is a coded error that names its place. */
import type { ErrorCode } from "../errors/table.ts";
import { VarveError } from "../errors/varve-error.ts";
import { isDigest, type Digest } from "./digest.ts";
import type { JsonObject, JsonValue } from "./strict-json.ts";

/** An object of a document, with where it stands and which code its flaws have. */
export class Fields {
  readonly #object: JsonObject;
  readonly #code: ErrorCode;
  readonly #where: string;

  private constructor(object: JsonObject, where: string, code: ErrorCode) {
    this.#object = object;
    this.#where = where;
    this.#code = code;
  }

  /** `where` begins the place in messages, as in "manifest sha256:...". @throws VarveError `code` unless an object */
  static of(value: JsonValue | undefined, where: string, code: ErrorCode): Fields {
    if (isObject(value)) return new Fields(value, where, code);
    throw new VarveError(code, `${where} is ${kindOf(value)}, not an object`);
  }

  get names(): string[] {
    return Object.keys(this.#object);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  /** The member as it stands; null counts as absent, as Go encodes its empty slices and maps. */
  raw(name: string): JsonValue | undefined {
    return Object.hasOwn(this.#object, name) ? (this.#object[name] ?? undefined) : undefined;
  }

  refuse(name: string, why: string, hint?: string): never {
    throw new VarveError(this.#code, `${this.#where}: ${name} ${why}`, hint === undefined ? {} : { hint });
  }

  optionalString(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === "string") return value;
    return this.refuse(name, `is ${kindOf(value)}, not a string`);
  }

  /** @throws when absent or empty */
  string(name: string): string {
    const value = this.optionalString(name);
    if (value === undefined) return this.refuse(name, "is missing");
    return value === "" ? this.refuse(name, "is empty") : value;
  }

  optionalBoolean(name: string): boolean | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === "boolean") return value;
    return this.refuse(name, `is ${kindOf(value)}, not true or false`);
  }

  /** A count of bytes: an integer from 0 to 2^53 - 1. */
  size(name: string): number {
    const value = this.raw(name);
    if (value === undefined) return this.refuse(name, "is missing");
    if (typeof value !== "number") return this.refuse(name, `is ${kindOf(value)}, not a number`);
    if (!Number.isSafeInteger(value) || value < 0) return this.refuse(name, `is ${value}, not a count of bytes`);
    return value + 0; // -0 becomes 0
  }

  digest(name: string): Digest {
    return this.#asDigest(this.string(name), name);
  }

  digests(name: string): Digest[] {
    return this.strings(name).map((text, at) => this.#asDigest(text, `${name}[${at}]`));
  }

  array(name: string): JsonValue[] {
    return this.optionalArray(name) ?? this.refuse(name, "is missing");
  }

  optionalArray(name: string): JsonValue[] | undefined {
    const value = this.raw(name);
    if (value === undefined || Array.isArray(value)) return value;
    return this.refuse(name, `is ${kindOf(value)}, not an array`);
  }

  strings(name: string): string[] {
    return this.optionalStrings(name) ?? this.refuse(name, "is missing");
  }

  optionalStrings(name: string): string[] | undefined {
    return this.optionalArray(name)?.map((item, at) =>
      typeof item === "string" ? item : this.refuse(`${name}[${at}]`, `is ${kindOf(item)}, not a string`),
    );
  }

  optionalStringMap(name: string): Record<string, string> | undefined {
    const map = this.optionalObject(name);
    if (map === undefined) return undefined;
    // fromEntries defines own members, so "__proto__" is a key like any other.
    return Object.fromEntries(map.names.map((key) => [key, map.optionalString(key) ?? ""]));
  }

  /** Names of an object that stands for a set, as in `"ExposedPorts": {"80/tcp": {}}`. */
  optionalNameSet(name: string): string[] | undefined {
    return this.optionalObject(name)?.names;
  }

  object(name: string): Fields {
    return Fields.of(this.raw(name), `${this.#where}: ${name}`, this.#code);
  }

  optionalObject(name: string): Fields | undefined {
    return this.raw(name) === undefined ? undefined : this.object(name);
  }

  objects(name: string): Fields[] {
    return this.array(name).map((item, at) => Fields.of(item, `${this.#where}: ${name}[${at}]`, this.#code));
  }

  #asDigest(text: string, name: string): Digest {
    return isDigest(text) ? text : this.refuse(name, `is not a digest: ${JSON.stringify(text.slice(0, 160))}`);
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: JsonValue | undefined): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
