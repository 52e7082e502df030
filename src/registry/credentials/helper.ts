/**
 * Credential helpers, docker-credential-helpers' protocol: `docker-credential-<name> get|store|erase`, the server's
 * name or a JSON document on stdin, JSON on stdout. Run without a shell, for a bounded time, with a bounded output; what
 * they print is never shown, because it may be the secret.
 */
import { spawn } from "node:child_process";
import { VarveError } from "../../errors/varve-error.ts";
import type { Credential } from "./credential.ts";

export interface HelperOptions {
  /** Milliseconds until it is killed. */
  readonly timeoutMs: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

const MOST_BYTES = 64 * 1024;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const NOT_FOUND = /credentials not found in native keychain/i;

/** Undefined when the helper has none for the server. */
export async function helperGet(name: string, server: string, options: HelperOptions): Promise<Credential | undefined> {
  const { status, output } = await run(name, "get", server, options);
  if (NOT_FOUND.test(output)) return undefined;
  if (status !== 0) throw failed(name, `ended with status ${status} for ${server}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(output);
  } catch {
    throw failed(name, `did not answer with JSON for ${server}`);
  }
  const { Username: username, Secret: secret } = (parsed ?? {}) as Record<string, unknown>;
  if (typeof username !== "string" || typeof secret !== "string")
    throw failed(name, `gave no user and secret for ${server}`);
  if (username === "" && secret === "") return undefined;
  return username === "<token>"
    ? { kind: "identity-token", token: secret }
    : { kind: "password", username, password: secret };
}

export async function helperStore(
  name: string,
  server: string,
  account: { username: string; secret: string },
  options: HelperOptions,
): Promise<void> {
  const input = JSON.stringify({ ServerURL: server, Username: account.username, Secret: account.secret });
  const { status } = await run(name, "store", input, options);
  if (status !== 0) throw failed(name, `ended with status ${status} while storing for ${server}`);
}

/** False when it had none. */
export async function helperErase(name: string, server: string, options: HelperOptions): Promise<boolean> {
  const { status, output } = await run(name, "erase", server, options);
  if (NOT_FOUND.test(output)) return false;
  if (status !== 0) throw failed(name, `ended with status ${status} while erasing ${server}`);
  return true;
}

async function run(
  name: string,
  verb: string,
  input: string,
  options: HelperOptions,
): Promise<{ status: number; output: string }> {
  if (!NAME.test(name)) {
    throw new VarveError(
      "CREDENTIALS_INVALID",
      `not the name of a credential helper: ${JSON.stringify(name.slice(0, 80))}`,
    );
  }
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; output: string }>();
  const child = spawn(`docker-credential-${name}`, [verb], {
    env: options.env,
    stdio: ["pipe", "pipe", "ignore"],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const kill = (what: string): void => {
    child.kill("SIGKILL");
    // A grandchild may hold the pipe open; nobody waits for it.
    child.stdout.destroy();
    reject(failed(name, what));
  };
  const timer = setTimeout(() => kill(`took longer than ${options.timeoutMs} ms`), options.timeoutMs);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (output.length > MOST_BYTES) kill(`printed more than ${MOST_BYTES} bytes`);
  });
  // A helper that does not read its input closes the pipe.
  child.stdin.on("error", () => undefined).end(input);
  child.on("error", (error: NodeJS.ErrnoException) => {
    if (error.name === "AbortError")
      reject(new VarveError("INTERRUPTED", `docker-credential-${name}: interrupted`, { cause: error }));
    else
      reject(
        failed(name, error.code === "ENOENT" ? "is not installed" : `cannot be run: ${error.code ?? "unknown error"}`),
      );
  });
  child.on("close", (status) => resolve({ status: status ?? -1, output }));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function failed(name: string, what: string): VarveError {
  return new VarveError("CREDENTIAL_HELPER_FAILED", `the credential helper docker-credential-${name} ${what}`);
}
