/** Docker's `config.json` and containers' `auth.json`: the same shape, containers-auth.json(5). */
import { readFile } from "node:fs/promises";
import { VarveError } from "../../errors/varve-error.ts";
import type { Credential } from "./credential.ts";
import { normalizeKey } from "./registry-key.ts";

export interface AuthFile {
  /** For messages: a path, or the name of an environment variable. */
  readonly source: string;
  /** By normalised key. An entry that holds nothing itself is null. */
  readonly auths: ReadonlyMap<string, Credential | null>;
  /** Helper names by normalised host. */
  readonly credHelpers: ReadonlyMap<string, string>;
  readonly credsStore: string | undefined;
}

const MOST_BYTES = 4 * 1024 * 1024;

/** Undefined when there is no such file. */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  const text = await readAuthText(path);
  return text === undefined ? undefined : parseAuthFile(text, path);
}

export async function readAuthText(path: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, "utf8");
    if (text.length > MOST_BYTES) throw invalid(path, "is too large");
    return text;
  } catch (cause) {
    if (cause instanceof VarveError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw invalid(path, `cannot be read: ${code ?? "unknown error"}`);
  }
}

/** @throws VarveError `CREDENTIALS_INVALID`, which never shows what the file holds */
export function parseAuthFile(text: string, source: string): AuthFile {
  const root = parseObject(text, source);
  const auths = new Map<string, Credential | null>();
  for (const [key, value] of entries(root["auths"], source, "auths")) {
    const name = normalizeKey(key);
    const credential = parseEntry(value, source, key);
    // A key as this program writes it comes before one that only means the same.
    if (!auths.has(name) || name === key) auths.set(name, credential);
  }
  const credHelpers = new Map<string, string>();
  for (const [key, value] of entries(root["credHelpers"], source, "credHelpers")) {
    if (typeof value !== "string") throw invalid(source, `credHelpers of ${JSON.stringify(key)} must be a name`);
    credHelpers.set(normalizeKey(key), value);
  }
  const store = root["credsStore"];
  if (store !== undefined && typeof store !== "string") throw invalid(source, "credsStore must be a name");
  return { source, auths, credHelpers, credsStore: store === "" ? undefined : store };
}

export function parseObject(text: string, source: string): Record<string, unknown> {
  let root: unknown;
  try {
    root = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    // V8's message quotes the text, which may be a secret.
    throw invalid(source, "is not JSON");
  }
  if (typeof root !== "object" || root === null || Array.isArray(root)) throw invalid(source, "is not a JSON object");
  return root as Record<string, unknown>;
}

function entries(value: unknown, source: string, field: string): [string, unknown][] {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object" || Array.isArray(value)) throw invalid(source, `${field} must be an object`);
  return Object.entries(value);
}

function parseEntry(value: unknown, source: string, key: string): Credential | null {
  if (typeof value !== "object" || value === null)
    throw invalid(source, `auths of ${JSON.stringify(key)} must be an object`);
  const { auth, username, password, identitytoken, registrytoken } = value as Record<string, unknown>;
  if (typeof identitytoken === "string" && identitytoken !== "")
    return { kind: "identity-token", token: identitytoken };
  if (typeof registrytoken === "string" && registrytoken !== "")
    return { kind: "registry-token", token: registrytoken };
  if (typeof auth === "string" && auth !== "") return decodeAuth(auth, source, key);
  if (typeof username === "string" && typeof password === "string" && username !== "") {
    return { kind: "password", username, password };
  }
  return null;
}

function decodeAuth(auth: string, source: string, key: string): Credential {
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon <= 0) throw invalid(source, `auth of ${JSON.stringify(key)} is not base64 of user:password`);
  // Docker's old files pad with NULs.
  return { kind: "password", username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
}

function invalid(source: string, what: string): VarveError {
  return new VarveError("CREDENTIALS_INVALID", `${source}: ${what}`);
}
