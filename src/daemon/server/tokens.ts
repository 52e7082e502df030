/**
 * Bearer tokens: a file of one a line, maybe with a label after it. In memory they are hashes, and looking one up takes as long whichever it
 * is, so that neither a dump of the memory nor a clock tells them.
 */
import { hash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";

export interface Tokens {
  readonly size: number;
  /** @returns the label of the token; undefined when it is none of them */
  find(token: string): string | undefined;
}

/** Shorter ones are guessed. */
const LEAST_LENGTH = 16;
const MOST_LENGTH = 1024;
const MOST_TOKENS = 10_000;
const MAX_FILE = 4 * 1024 * 1024;

/** @throws VarveError `CONFIGURATION_INVALID`, `FILE_NOT_FOUND`, `PERMISSION` */
export async function readTokens(path: string): Promise<Tokens> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw toVarveError(error, "the file of tokens");
  });
  if (bytes.length > MAX_FILE) throw invalid(path, "it is larger than 4 MiB");
  return parseTokens(bytes.toString("utf8"), path);
}

/** `TOKEN [LABEL]` a line; empty lines and those that begin with `#` are left out. */
export function parseTokens(text: string, path: string): Tokens {
  const known: { readonly hash: Buffer; readonly label: string }[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [token = "", ...label] = line.trim().split(/\s+/);
    if (token === "" || token.startsWith("#")) continue;
    // The token itself is in no message.
    if (!/^[\x21-\x7e]+$/.test(token)) throw invalid(path, `line ${index + 1} has characters that no header takes`);
    if (token.length < LEAST_LENGTH || token.length > MOST_LENGTH) {
      throw invalid(path, `the token of line ${index + 1} has ${token.length} characters`);
    }
    if (known.length === MOST_TOKENS) throw invalid(path, `it has more than ${MOST_TOKENS} tokens`);
    known.push({ hash: digestOf(token), label: label.join(" ").slice(0, 100) || `token of line ${index + 1}` });
  }
  if (known.length === 0) throw invalid(path, "it has no token");
  return {
    size: known.length,
    find(token) {
      const asked = digestOf(token);
      let found: string | undefined;
      for (const { hash, label } of known) if (timingSafeEqual(hash, asked)) found ??= label;
      return found;
    },
  };
}

function digestOf(token: string): Buffer {
  return hash("sha256", token, "buffer");
}

function invalid(path: string, what: string): VarveError {
  return new VarveError("CONFIGURATION_INVALID", `${path} is no file of tokens: ${what}`, {
    hint: `write one token of ${LEAST_LENGTH} to ${MOST_LENGTH} characters a line, for example of: openssl rand -hex 32`,
  });
}
