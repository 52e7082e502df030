/** What threads of all kinds are started with. */
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";

/**
 * A thread shares the process's compile cache only when its environment says so. Without it, each one compiles all modules again,
 * in a checkout from TypeScript: 60 ms and 25 MB.
 */
export function threadEnvironment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
}
