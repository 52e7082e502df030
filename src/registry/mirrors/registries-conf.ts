/**
 * containers' `registries.conf`, version 2 (containers-registries.conf(5)): the longest
 * matching prefix wins, its location rewrites the name, mirrors come before it.
 */
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { VarveError } from "../../errors/varve-error.ts";
import { readOptional } from "./read-optional.ts";
import type { TableReader } from "./toml-file.ts";

export interface RegistryRule {
  /** `host`, `host/path` or `*.host`. */
  readonly prefix: string;
  /** What stands in the prefix's place; undefined leaves the name as it is. */
  readonly location: string | undefined;
  readonly insecure: boolean;
  readonly blocked: boolean;
  readonly mirrorByDigestOnly: boolean;
  readonly mirrors: readonly MirrorRule[];
}

export interface MirrorRule {
  readonly location: string;
  readonly insecure: boolean;
  readonly pullFrom: "all" | "digest-only" | "tag-only";
}

export interface RegistriesConf {
  readonly rules: readonly RegistryRule[];
  /** Order of credential sources: helper names and the reserved `containers-auth.json`. */
  readonly credentialHelpers: readonly string[];
}

export const EMPTY_REGISTRIES: RegistriesConf = { rules: [], credentialHelpers: [] };

/** A line with which begins whatever of a file is read here: a table's header, or a key. Not an alias for an image named `registry`. */
const RELEVANT =
  /^[ \t]*(?:\[{1,2}[ \t]*["']?(?:registry|registries)\b|["']?credential-helpers\b|["']?(?:registry|registries)["']?[ \t]*(?:\.|=[ \t]*[[{]))/m;

/**
 * @param path The only file to read, or undefined for `CONTAINERS_REGISTRIES_CONF`, else the user's file in place of the
 * system's, with the drop-ins of `registries.conf.d`.
 */
export async function readRegistriesConf(path: string | undefined, env: NodeJS.ProcessEnv): Promise<RegistriesConf> {
  const only = path ?? env["CONTAINERS_REGISTRIES_CONF"];
  if (only !== undefined && only !== "") {
    const text = await readOptional(only);
    if (text === undefined) throw new VarveError("CONFIGURATION_INVALID", `${only} does not exist`);
    return merge([await parseRegistriesConf(text, only)]);
  }
  const user = join(env["XDG_CONFIG_HOME"] || join(env["HOME"] || homedir(), ".config"), "containers");
  const system = "/etc/containers";
  const parts: RegistriesConf[] = [];
  for (const dir of [user, system]) {
    const file = join(dir, "registries.conf");
    const text = await readOptional(file);
    if (text === undefined) continue;
    parts.push(await parseRegistriesConf(text, file));
    break;
  }
  for (const dir of [system, user]) parts.push(...(await readDropIns(join(dir, "registries.conf.d"))));
  return merge(parts);
}

export async function parseRegistriesConf(text: string, path: string): Promise<RegistriesConf> {
  // The usual files, all comments or aliases for short names, need no parser, which would cost more than the rest of a short command.
  if (!RELEVANT.test(text)) return EMPTY_REGISTRIES;
  const { parseToml, TableReader } = await import("./toml-file.ts");
  const root = new TableReader(parseToml(text, path), path);
  if (root.raw("registries") !== undefined) {
    throw new VarveError("CONFIGURATION_INVALID", `${path} has the old form (version 1)`, {
      hint: "write it in version 2: [[registry]] tables instead of [registries.*]",
    });
  }
  return { rules: root.tables("registry").map(parseRule), credentialHelpers: root.texts("credential-helpers") };
}

/** The rule with the longest prefix of `host/name`, and what of it the prefix took. */
export function ruleFor(conf: RegistriesConf, image: string): { rule: RegistryRule; taken: string } | undefined {
  let best: { rule: RegistryRule; taken: string } | undefined;
  for (const rule of conf.rules) {
    const taken = matched(rule.prefix, image);
    if (taken !== undefined && (best === undefined || taken.length > best.taken.length)) best = { rule, taken };
  }
  return best;
}

function matched(prefix: string, image: string): string | undefined {
  if (prefix.startsWith("*.")) {
    const slash = image.indexOf("/");
    const host = slash < 0 ? image : image.slice(0, slash);
    return host.endsWith(prefix.slice(1)) && host.length > prefix.length - 1 ? host : undefined;
  }
  if (image !== prefix && !image.startsWith(`${prefix}/`)) return undefined;
  return prefix;
}

function parseRule(table: TableReader): RegistryRule {
  const location = trimmed(table, "location");
  const prefix = trimmed(table, "prefix") ?? location;
  if (prefix === undefined) return table.refuse("registry", "has neither prefix nor location");
  const wild = prefix.startsWith("*.");
  if (prefix.includes("*", wild ? 1 : 0) || (wild && prefix.includes("/"))) {
    return table.refuse(`prefix ${prefix}`, "may have a wildcard only as *.host");
  }
  return {
    prefix,
    location,
    insecure: table.flag("insecure"),
    blocked: table.flag("blocked"),
    mirrorByDigestOnly: table.flag("mirror-by-digest-only"),
    mirrors: table.tables("mirror").map(parseMirror),
  };
}

function parseMirror(table: TableReader): MirrorRule {
  const location = trimmed(table, "location");
  if (location === undefined) return table.refuse("mirror", "has no location");
  const pullFrom = table.text("pull-from-mirror") ?? "all";
  if (pullFrom !== "all" && pullFrom !== "digest-only" && pullFrom !== "tag-only" && pullFrom !== "") {
    return table.refuse("pull-from-mirror", "must be all, digest-only or tag-only");
  }
  return { location, insecure: table.flag("insecure"), pullFrom: pullFrom === "" ? "all" : pullFrom };
}

function trimmed(table: TableReader, key: string): string | undefined {
  const value = table.text(key)?.replace(/\/+$/, "");
  if (value === undefined || value === "") return undefined;
  if (/^[a-z]+:\/\//i.test(value)) return table.refuse(key, "must be without a scheme");
  return value;
}

async function readDropIns(dir: string): Promise<RegistriesConf[]> {
  let names: string[];
  try {
    names = (await readdir(dir)).filter((name) => name.endsWith(".conf")).sort();
  } catch {
    return [];
  }
  const texts = await Promise.all(
    names.map(async (name) => [join(dir, name), await readOptional(join(dir, name))] as const),
  );
  return await Promise.all(
    texts.flatMap(([path, text]) => (text === undefined ? [] : [parseRegistriesConf(text, path)])),
  );
}

/** Later files replace the rules of earlier ones with the same prefix. */
function merge(parts: readonly RegistriesConf[]): RegistriesConf {
  const rules = new Map<string, RegistryRule>();
  for (const part of parts) for (const rule of part.rules) rules.set(rule.prefix, rule);
  const helpers = parts.findLast((part) => part.credentialHelpers.length > 0)?.credentialHelpers ?? [];
  return { rules: [...rules.values()], credentialHelpers: helpers };
}
