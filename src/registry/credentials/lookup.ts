/** Finds the account for an endpoint: the flag, the credential files and helper programs, in their order. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Credentials } from "../auth/authorizer.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Settings } from "../options.ts";
import { parseAuthFile, readAuthFile, type AuthFile } from "./auth-file.ts";
import type { Credential } from "./credential.ts";
import { helperGet } from "./helper.ts";
import { authLocations } from "./locations.ts";
import { keysFor, serverKey } from "./registry-key.ts";

/** The value of registries.conf's `credential-helpers` that stands for the files. */
const FILES = "containers-auth.json";
/** Helpers hand out short-lived secrets, and files change under a long-running daemon. */
const CACHE_MS = 5 * 60_000;
const MOST_ENTRIES = 1000;

export class CredentialLookup implements Credentials {
  readonly #settings: Settings;
  readonly #helpers: () => Promise<readonly string[]>;
  readonly #cache = new Map<string, { at: number; found: Promise<Credential | undefined> }>();

  /** @param helpers registries.conf's `credential-helpers`. */
  constructor(settings: Settings, helpers: () => Promise<readonly string[]> = async () => []) {
    this.#settings = settings;
    this.#helpers = helpers;
  }

  async find(endpoint: Endpoint, options: { fresh?: boolean } = {}): Promise<Credential | undefined> {
    const { credentials, clock } = this.#settings;
    if (credentials !== undefined && endpoint.ownCredentials) return { kind: "password", ...credentials };
    const key = `${endpoint.credentialHost}/${endpoint.repository}`;
    const cached = this.#cache.get(key);
    if (cached !== undefined && options.fresh !== true && clock.now() - cached.at < CACHE_MS) return await cached.found;
    const found = this.#search(endpoint.credentialHost, endpoint.repository);
    this.#cache.delete(key);
    this.#cache.set(key, { at: clock.now(), found });
    if (this.#cache.size > MOST_ENTRIES) this.#cache.delete(this.#cache.keys().next().value ?? "");
    found.catch(() => this.#cache.delete(key));
    return await found;
  }

  async #search(host: string, repository: string): Promise<Credential | undefined> {
    const helpers = await this.#helpers();
    for (const source of helpers.length === 0 ? [FILES] : helpers) {
      const found = source === FILES ? await this.#inFiles(host, repository) : await this.#ask(source, host);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #inFiles(host: string, repository: string): Promise<Credential | undefined> {
    const { authFile, env } = this.#settings;
    const { inline, files, required } = authLocations(authFile, env);
    if (inline !== undefined) {
      const found = fromEntries(parseAuthFile(inline, "DOCKER_AUTH_CONFIG"), host, repository);
      if (found !== undefined) return found;
    }
    for (const path of files) {
      const file = await readAuthFile(path);
      if (file === undefined) {
        if (required) throw new VarveError("CREDENTIALS_INVALID", `the credential file ${path} does not exist`);
        continue;
      }
      const found = await this.#inFile(file, host, repository);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** A program that is set for the host answers for it alone; the file's own entries then do not count. */
  async #inFile(file: AuthFile, host: string, repository: string): Promise<Credential | undefined> {
    const helper = file.credHelpers.get(host) ?? file.credsStore;
    return helper === undefined ? fromEntries(file, host, repository) : await this.#ask(helper, host);
  }

  async #ask(helper: string, host: string): Promise<Credential | undefined> {
    const { env, credentialHelperMs } = this.#settings;
    return await helperGet(helper, serverKey(host), { env, timeoutMs: credentialHelperMs });
  }
}

function fromEntries(file: AuthFile, host: string, repository: string): Credential | undefined {
  for (const key of keysFor(host, repository)) {
    const credential = file.auths.get(key);
    if (credential !== undefined && credential !== null) return credential;
  }
  return undefined;
}
