/**
 * The address of a machine's network card in its `config.json`, which two machines on one network must not share. Everything else of the document
 * stays byte for byte: other programs may know members of it that are not known here.
 */
import { randomBytes } from "node:crypto";
import { VarveError } from "../../errors/varve-error.ts";
import { parseJson } from "../../oci/strict-json.ts";

const NAME = "macAddress";

/** One that no maker gives out: locally administered, of one card alone (IEEE 802 §8.4). */
export function randomMacAddress(random: Uint8Array = randomBytes(6)): string {
  const [first = 0, ...rest] = random.subarray(0, 6);
  return [(first & 0xfc) | 0x02, ...rest].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Undefined when the configuration has none. @throws VarveError `CONFIG_INVALID` when it is no object */
export function macAddressIn(config: Uint8Array): string | undefined {
  const document = parseJson(config, "config.json", { code: "CONFIG_INVALID" });
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new VarveError("CONFIG_INVALID", "config.json is no object");
  }
  const value = Object.hasOwn(document, NAME) ? document[NAME] : undefined;
  return typeof value === "string" ? value : undefined;
}

/**
 * The configuration with another address; as it is when it has none.
 * @throws VarveError `CONFIG_INVALID`
 */
export function withMacAddress(config: Uint8Array, address: string): Buffer {
  if (macAddressIn(config) === undefined) return Buffer.from(config);
  const text = Buffer.from(config).toString("utf8");
  const [start, end] = placeOfAddress(text);
  const changed = Buffer.from(`${text.slice(0, start)}${JSON.stringify(address)}${text.slice(end)}`);
  if (macAddressIn(changed) === address) return changed;
  throw new VarveError("INTERNAL", "the place of the address in config.json was not found");
}

/** Where the member's value stands. The document is valid JSON, and the value is a string. */
function placeOfAddress(text: string): [start: number, end: number] {
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1) {
      const value = /^\s*:\s*("(?:[^"\\]|\\.)*")/.exec(text.slice(index + token.length));
      if (value === null || JSON.parse(token) !== NAME) continue;
      const end = index + token.length + value[0].length;
      return [end - value[1]!.length, end];
    }
  }
  throw new VarveError("INTERNAL", "config.json has no address");
}
