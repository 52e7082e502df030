/**
 * Which credential files are read, first hit first (the tools disagree):
 * --authfile alone; else DOCKER_AUTH_CONFIG, then REGISTRY_AUTH_FILE alone; else DOCKER_CONFIG, containers' auth.json of
 * the session and of the user, ~/.docker/config.json.
 */
import { homedir } from "node:os";
import { join } from "node:path";

export interface AuthLocations {
  /** JSON in the environment, read before any file. */
  readonly inline: string | undefined;
  readonly files: readonly string[];
  /** The file was named by --authfile, so it must exist. */
  readonly required: boolean;
}

export function authLocations(authFile: string | undefined, env: NodeJS.ProcessEnv): AuthLocations {
  if (authFile !== undefined) return { inline: undefined, files: [authFile], required: true };
  const inline = env["DOCKER_AUTH_CONFIG"] || undefined;
  const only = env["REGISTRY_AUTH_FILE"];
  return { inline, files: only ? [only] : defaultFiles(env), required: false };
}

/** Where `login` puts an account that no file has yet. */
export function homeAuthFile(env: NodeJS.ProcessEnv): string {
  return join(env["DOCKER_CONFIG"] || join(home(env), ".docker"), "config.json");
}

function defaultFiles(env: NodeJS.ProcessEnv): string[] {
  const docker = env["DOCKER_CONFIG"];
  const runtime = env["XDG_RUNTIME_DIR"] ? join(env["XDG_RUNTIME_DIR"], "containers") : rootRuntime();
  const config = env["XDG_CONFIG_HOME"] || join(home(env), ".config");
  const files = [
    ...(docker ? [join(docker, "config.json")] : []),
    ...(runtime === undefined ? [] : [join(runtime, "auth.json")]),
    join(config, "containers", "auth.json"),
    join(home(env), ".docker", "config.json"),
  ];
  return [...new Set(files)];
}

/** podman's place for those who have no session. */
function rootRuntime(): string | undefined {
  const uid = process.getuid?.();
  return uid === undefined ? undefined : `/run/containers/${uid}`;
}

function home(env: NodeJS.ProcessEnv): string {
  return env["HOME"] || homedir();
}
