/** The program under test as users run it: the checkout's `bin/varve.js` in a process of its own. */
import { fileURLToPath } from "node:url";
import { start, type RunningProgram, type RunOptions, type RunResult } from "./run.ts";

export const VARVE_BIN = fileURLToPath(new URL("../../../bin/varve.js", import.meta.url));

/** Settings of this machine, taken out of the environment. */
const FOREIGN =
  "DOCKER_AUTH_CONFIG DOCKER_CONFIG REGISTRY_AUTH_FILE CONTAINERS_REGISTRIES_CONF NODE_OPTIONS HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy".split(
    " ",
  );

export interface VarveOptions extends RunOptions {
  /** The store, as `VARVE_ROOT`. */
  readonly root?: string;
}

/**
 * Runs `varve args...`. Variables that would let this machine's own settings leak into the test (credentials, proxies,
 * registry configuration) are taken out of the environment unless `env` gives them.
 */
export function runVarve(args: readonly string[], options: VarveOptions = {}): Promise<RunResult> {
  return startVarve(args, options).result;
}

/** The same, for tests that interrupt it. */
export function startVarve(args: readonly string[], options: VarveOptions = {}): RunningProgram {
  return start(process.execPath, [VARVE_BIN, ...args], { ...options, env: varveEnvironment(options) });
}

export function varveEnvironment({ root, env = {} }: VarveOptions): Record<string, string | undefined> {
  const varve = Object.keys(process.env).filter((name) => name.startsWith("VARVE_"));
  const removed = Object.fromEntries([...FOREIGN, ...varve].map((name) => [name, undefined]));
  return { ...removed, ...(root !== undefined && { VARVE_ROOT: root }), ...env };
}
