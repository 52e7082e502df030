/**
 * `login` and `logout`: puts an account into a credential file or the helper program it names, and takes it out again.
 * Whatever else the file holds stays as it is.
 */
import { open, realpath, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { randomUUID } from "node:crypto";
import { toVarveError } from "../../errors/from-system.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import { parseAuthFile, parseObject, readAuthText, type AuthFile } from "./auth-file.ts";
import { helperErase, helperStore, type HelperOptions } from "./helper.ts";
import { authLocations, homeAuthFile } from "./locations.ts";
import { normalizeKey, serverKey } from "./registry-key.ts";

export interface CredentialFileOptions {
  readonly authFile?: string;
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds for a helper program. Default: 30,000. */
  readonly helperMs?: number;
}

/** Where an account was stored or erased: a file, perhaps through a helper that it names. */
export interface CredentialPlace {
  readonly file: string;
  readonly helper?: string;
}

interface OpenFile {
  readonly path: string;
  readonly root: Record<string, unknown>;
  readonly parsed: AuthFile;
}

/**
 * Stores an account for `host`: in the first file that has one for it already, else in the file that the flag or the
 * environment names, else in `~/.docker/config.json`.
 */
export async function storeCredentials(
  host: string,
  account: { username: string; password: string },
  options: CredentialFileOptions,
): Promise<CredentialPlace> {
  const key = normalizeKey(host);
  const { files } = authLocations(options.authFile, options.env);
  const known = (await openAll(files)).find((file) => file.parsed.auths.has(key) || file.parsed.credHelpers.has(key));
  const path = files.length === 1 && files[0] !== undefined ? files[0] : homeAuthFile(options.env);
  const file = known ?? (await openFile(path)) ?? emptyFile(path);
  const helper = file.parsed.credHelpers.get(key) ?? file.parsed.credsStore;
  const auths = without(file.root["auths"], key);
  if (helper === undefined) {
    const auth = Buffer.from(`${account.username}:${account.password}`, "utf8").toString("base64");
    await write(file, { ...auths, [serverKey(key)]: { auth } });
    return { file: file.path };
  }
  const { username, password: secret } = account;
  await helperStore(helper, serverKey(key), { username, secret }, helperOptions(options));
  await write(file, { ...auths, [serverKey(key)]: {} });
  return { file: file.path, helper };
}

/** Erases every account for `host` from all files that are read, and from the helpers they name. */
export async function eraseCredentials(host: string, options: CredentialFileOptions): Promise<CredentialPlace[]> {
  const key = normalizeKey(host);
  const places: CredentialPlace[] = [];
  for (const file of await openAll(authLocations(options.authFile, options.env).files)) {
    const helper = file.parsed.credHelpers.get(key) ?? file.parsed.credsStore;
    const erased = helper !== undefined && (await helperErase(helper, serverKey(key), helperOptions(options)));
    const listed = file.parsed.auths.has(key);
    if (listed) await write(file, without(file.root["auths"], key));
    if (erased && helper !== undefined) places.push({ file: file.path, helper });
    else if (listed) places.push({ file: file.path });
  }
  return places;
}

async function openAll(paths: readonly string[]): Promise<OpenFile[]> {
  const files = await Promise.all(paths.map(openFile));
  return files.filter((file) => file !== undefined);
}

async function openFile(path: string): Promise<OpenFile | undefined> {
  const text = await readAuthText(path);
  if (text === undefined) return undefined;
  return { path, root: parseObject(text, path), parsed: parseAuthFile(text, path) };
}

function emptyFile(path: string): OpenFile {
  return { path, root: {}, parsed: parseAuthFile("{}", path) };
}

/** The entries but those that mean this host, however they are written. */
function without(auths: unknown, key: string): Record<string, unknown> {
  const entries = Object.entries((auths ?? {}) as Record<string, unknown>);
  return Object.fromEntries(entries.filter(([name]) => normalizeKey(name) !== key));
}

/** Replaces the file in one step, readable by its owner only. A symbolic link stays one. */
async function write(file: OpenFile, auths: Record<string, unknown>): Promise<void> {
  try {
    const target = await realpath(file.path).catch(() => file.path);
    await makeDirectory(dirname(target), { mode: 0o700 });
    const temporary = join(dirname(target), `.varve-${randomUUID()}`);
    try {
      await using handle = await open(temporary, "wx", 0o600);
      await handle.writeFile(`${JSON.stringify({ ...file.root, auths }, undefined, "\t")}\n`);
      await handle.sync();
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    throw toVarveError(error, `writing ${file.path}`);
  }
}

function helperOptions(options: CredentialFileOptions): HelperOptions {
  return { env: options.env, timeoutMs: options.helperMs ?? 30_000 };
}
