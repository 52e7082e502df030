/**
 * JSON as RFC 8259 §4 and I-JSON (RFC 7493) want it: names unique, UTF-8 valid, nesting and number of values bounded.
 * A digest covers bytes, but two programs must also read the same values out of them, and parsers differ in which of
 * two equal names wins. So such documents are refused.
 */
import type { ErrorCode } from "../errors/table.ts";
import { VarveError } from "../errors/varve-error.ts";

export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
export interface JsonObject {
  [name: string]: JsonValue;
}

export const MAX_JSON_DEPTH = 64;
/** Names, members and elements. 4 MiB of descriptors with annotations stay well below it. */
export const MAX_JSON_VALUES = 500_000;

export interface ParseJsonOptions {
  /** Default `MANIFEST_INVALID`. */
  readonly code?: ErrorCode;
}

/**
 * Parses a whole document; the caller bounds its size. `what` names it in errors.
 *
 * @throws VarveError `MANIFEST_INVALID`, or the code given
 */
export function parseJson(bytes: Uint8Array, what: string, options: ParseJsonOptions = {}): JsonValue {
  const code = options.code ?? "MANIFEST_INVALID";
  let text: string;
  try {
    // A byte order mark stays in the text and fails below, as RFC 8259 §8.1 has it.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new VarveError(code, `${what} is not valid UTF-8`, { cause });
  }
  // The scan comes first because it bounds the depth and number of what JSON.parse builds.
  const flaw = findFlaw(text);
  if (flaw !== undefined) throw new VarveError(code, `${what} ${flaw}`);
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new VarveError(code, `${what} is not valid JSON`, { cause });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * One pass without recursion. Exact on valid JSON; on anything else it may see less, and JSON.parse refuses that.
 * @returns what is wrong, or undefined
 */
function findFlaw(text: string): string | undefined {
  // One place per open bracket: the names seen so far for an object, undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let nameComes = false;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case OPEN_BRACE:
      case OPEN_BRACKET:
        nameComes = text.charCodeAt(at) === OPEN_BRACE;
        open.push(nameComes ? new Set() : undefined);
        if (open.length > MAX_JSON_DEPTH) return `nests deeper than ${MAX_JSON_DEPTH} levels`;
        values++;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        open.pop();
        nameComes = false;
        break;
      case COMMA:
        nameComes = open.at(-1) !== undefined;
        values++;
        break;
      case QUOTE: {
        const end = stringEnd(text, at);
        if (nameComes) {
          const name = decodeName(text.slice(at, end + 1));
          const names = open.at(-1);
          if (name === undefined || names?.has(name)) return `has the name ${shown(name)} twice in one object`;
          names?.add(name);
          nameComes = false;
        }
        at = end;
        break;
      }
      default:
    }
    if (values > MAX_JSON_VALUES) return `has more than ${MAX_JSON_VALUES} values`;
  }
  return undefined;
}

/** Index of the closing quote, or of the text's end. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === BACKSLASH) at++;
    else if (char === QUOTE) return at;
  }
  return text.length;
}

/** Names are compared after their escapes are resolved: `"a"` and `"\u0061"` are one name. */
function decodeName(literal: string): string | undefined {
  if (!literal.includes("\\")) return literal.slice(1, -1);
  try {
    return JSON.parse(literal) as string;
  } catch {
    return undefined;
  }
}

function shown(name: string | undefined): string {
  return name === undefined ? "of a member" : JSON.stringify(name.slice(0, 80));
}
