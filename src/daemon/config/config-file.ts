/** The configuration file: TOML with the tables and keys of keys.ts and no others, because a slip that is passed over looks like a bug. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { CONFIG_KEYS } from "./keys.ts";

export type FileValues = ReadonlyMap<string, { readonly name: string; readonly value: unknown }>;

const MAX_BYTES = 1024 * 1024;

interface FilePlace {
  readonly env: NodeJS.ProcessEnv;
  readonly user: number | undefined;
  /** One that was named, which must be there. */
  readonly path?: string;
}

/** @returns by key; empty without a file. @throws VarveError `CONFIGURATION_INVALID`, `FILE_NOT_FOUND`, `PERMISSION` */
export async function readConfigFile(place: FilePlace): Promise<FileValues> {
  for (const path of place.path === undefined ? usualPlaces(place) : [place.path]) {
    const bytes = await readOptional(path, place.path === undefined);
    if (bytes === undefined) continue;
    if (bytes.length > MAX_BYTES) throw new VarveError("CONFIGURATION_INVALID", `${path} is larger than 1 MiB`);
    return valuesIn(await parse(bytes.toString("utf8"), path), path);
  }
  return new Map();
}

function usualPlaces({ env, user }: FilePlace): readonly string[] {
  const system = "/etc/varve/varve.toml";
  if (user === 0) return [system];
  const base = env["XDG_CONFIG_HOME"];
  const home = base !== undefined && isAbsolute(base) ? base : join(env["HOME"] || homedir(), ".config");
  return [join(home, "varve", "varve.toml"), system];
}

async function readOptional(path: string, mayBeMissing: boolean): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (mayBeMissing && (code === "ENOENT" || code === "ENOTDIR")) return undefined;
    throw toVarveError(error, "the configuration file");
  }
}

async function parse(text: string, path: string): Promise<object> {
  const { parse: parseToml } = await import("smol-toml");
  try {
    return parseToml(text);
  } catch (cause) {
    const { line, message } = cause as { line?: number; message: string };
    const what = message.split("\n", 1)[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    const where = line === undefined ? "" : ` (line ${line})`;
    throw new VarveError("CONFIGURATION_INVALID", `${path} is not TOML${where}: ${what}`, { cause });
  }
}

function valuesIn(table: object, path: string, prefix = ""): FileValues {
  const values = new Map<string, { name: string; value: unknown }>();
  for (const [name, value] of Object.entries(table)) {
    const key = prefix + name;
    if (CONFIG_KEYS.some((row) => row.key === key)) values.set(key, { name: `${path}: ${key}`, value });
    else if (isTableName(key) && typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [inner, its] of valuesIn(value, path, `${key}.`)) values.set(inner, its);
    } else throw unknownKey(key, prefix, path);
  }
  return values;
}

function isTableName(key: string): boolean {
  return CONFIG_KEYS.some((row) => row.key.startsWith(`${key}.`));
}

function unknownKey(key: string, prefix: string, path: string): VarveError {
  const shown = JSON.stringify(key.slice(0, 120));
  const message = isTableName(key)
    ? `${path}: ${shown} must be a table`
    : `${path} has the key ${shown}, which varve does not know`;
  const known = CONFIG_KEYS.filter((row) => row.key.startsWith(prefix)).map(
    (row) => row.key.slice(prefix.length).split(".", 1)[0] ?? "",
  );
  const near = [...new Set(known)].join(", ");
  return new VarveError("CONFIGURATION_INVALID", message, {
    hint: `${prefix === "" ? "at the top there may be" : `[${prefix.slice(0, -1)}] may have`} ${near}`,
  });
}
