/** The global flags and the environment, resolved once into what the rest of the program takes. */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { DECOMPRESSORS, type Decompressor } from "../codec/decompressors.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Platform } from "../oci/platform.ts";
import type { SnapshotterChoice } from "../transfer/snapshotter.ts";
import { deltaRootsIn } from "./delta-flags.ts";
import { PROGRESS_MODES, SNAPSHOTTERS } from "./global-flags.ts";
import type { Host } from "./host.ts";
import type { Verbosity } from "./logger.ts";
import {
  type Credentials,
  parseChoice,
  parseCount,
  parseCredentials,
  parseDirectory,
  parsePath,
  parseRate,
  parseSeconds,
} from "./parse-values.ts";

export type ProgressMode = Exclude<(typeof PROGRESS_MODES)[number], "auto">;

/** How registries are spoken to; what is left out has the registry client's default. */
export interface TransportSettings {
  readonly plainHttp?: boolean;
  readonly insecure?: boolean;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly authFile?: string;
  readonly credentials?: Credentials;
  readonly hostsDir?: string;
  readonly retries?: number;
  readonly retryMaxTimeMs?: number;
  /** Bytes per second. */
  readonly limitRate?: number;
}

export interface UnpackSettings {
  readonly snapshotter: SnapshotterChoice;
  readonly decompressor: Decompressor;
  /** Layers at once. Default: one per core. */
  readonly jobs?: number;
}

export interface Settings {
  /** Absolute path of the store. */
  readonly root: string;
  readonly json: boolean;
  readonly progress: ProgressMode;
  readonly verbosity: Verbosity;
  readonly concurrency?: number;
  readonly platform?: Platform;
  readonly unpacking: UnpackSettings;
  /** As the environment has it; whoever uses it looks whether it is one. */
  readonly sourceDateEpoch?: string;
  readonly transport: TransportSettings;
  /** Absolute paths of stores and layouts to copy from beside the store. Default: none. */
  readonly deltaRoots?: readonly string[];
}

export type Flags = Readonly<Record<string, unknown>>;

/** @throws VarveError `USAGE`, `PLATFORM_INVALID` */
export async function resolveSettings(flags: Flags, host: Host): Promise<Settings> {
  const concurrency = text(flags, "concurrency");
  const platform = text(flags, "platform");
  const verbosity = resolveVerbosity(flags);
  return {
    root: resolveRoot(text(flags, "root"), host.env),
    json: flags["json"] === true,
    verbosity,
    progress: resolveProgress(text(flags, "progress"), verbosity, host.stderr.isTerminal, host.env),
    ...(concurrency !== undefined && { concurrency: parseCount("--concurrency", concurrency, 1, 256) }),
    ...(platform !== undefined && { platform: (await import("../oci/platform.ts")).parsePlatform(platform) }),
    unpacking: resolveUnpacking(flags, host.env),
    ...(host.env["SOURCE_DATE_EPOCH"] !== undefined && { sourceDateEpoch: host.env["SOURCE_DATE_EPOCH"] }),
    transport: resolveTransport(flags),
    ...(host.env["VARVE_DELTA_ROOT"] && { deltaRoots: deltaRootsIn(host.env["VARVE_DELTA_ROOT"]) }),
  };
}

/** The flag, then `VARVE_ROOT`, then the system's place for root and the user's for others (XDG base directories). */
export function resolveRoot(flag: string | undefined, env: Host["env"], user = process.getuid?.()): string {
  if (flag !== undefined) return resolve(parsePath("--root", flag));
  const fromEnv = env["VARVE_ROOT"];
  if (fromEnv !== undefined && fromEnv !== "") return resolve(parsePath("VARVE_ROOT", fromEnv));
  if (user === 0) return "/var/lib/varve";
  const data = env["XDG_DATA_HOME"];
  // The XDG specification has relative paths ignored.
  if (data !== undefined && isAbsolute(data)) return join(data, "varve");
  return join(env["HOME"] || homedir(), ".local", "share", "varve");
}

/** The flag, then `VARVE_SNAPSHOTTER`. */
function resolveUnpacking(flags: Flags, env: Host["env"]): UnpackSettings {
  const [flag, fromEnv] = [text(flags, "snapshotter"), env["VARVE_SNAPSHOTTER"] || undefined];
  const snapshotter =
    flag === undefined && fromEnv !== undefined
      ? parseChoice("VARVE_SNAPSHOTTER", fromEnv, SNAPSHOTTERS)
      : parseChoice("--snapshotter", flag ?? "auto", SNAPSHOTTERS);
  const jobs = text(flags, "unpackJobs");
  return {
    snapshotter,
    decompressor: parseChoice("--decompressor", text(flags, "decompressor") ?? "auto", DECOMPRESSORS),
    ...(jobs !== undefined && { jobs: parseCount("--unpack-jobs", jobs, 1, 256) }),
  };
}

function resolveVerbosity(flags: Flags): Verbosity {
  const { quiet, verbose, debug } = flags;
  if (quiet && (verbose || debug)) throw new VarveError("USAGE", "--quiet goes with neither --verbose nor --debug");
  return debug ? "debug" : verbose ? "verbose" : quiet ? "quiet" : "normal";
}

/** `auto`: a terminal that can move its cursor gets the moving display, everything else gets lines. */
function resolveProgress(
  flag: string | undefined,
  verbosity: Verbosity,
  isTerminal: boolean,
  env: Host["env"],
): ProgressMode {
  const mode = flag === undefined ? "auto" : parseChoice("--progress", flag, PROGRESS_MODES);
  if (mode !== "auto") return mode;
  if (verbosity === "quiet") return "none";
  return isTerminal && env["TERM"] !== "dumb" ? "tty" : "plain";
}

function resolveTransport(flags: Flags): TransportSettings {
  const path = (name: string, flag: string): string | undefined => {
    const value = text(flags, name);
    return value === undefined ? undefined : resolve(parsePath(flag, value));
  };
  const parsed = <T>(name: string, parse: (value: string) => T): T | undefined => {
    const value = text(flags, name);
    return value === undefined ? undefined : parse(value);
  };
  const { certFile, keyFile } = flags;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new VarveError("USAGE", "--cert-file and --key-file go together");
  }
  return present({
    plainHttp: flags["plainHttp"] === true ? true : undefined,
    insecure: flags["insecure"] === true ? true : undefined,
    caFile: path("caFile", "--ca-file"),
    certFile: path("certFile", "--cert-file"),
    keyFile: path("keyFile", "--key-file"),
    authFile: path("authfile", "--authfile"),
    // Several directories may be joined by colons, as in a PATH.
    hostsDir: parsed("hostsDir", (value) =>
      value
        .split(":")
        .map((part) => parseDirectory("--hosts-dir", part))
        .join(":"),
    ),
    credentials: parsed("creds", (value) => parseCredentials("--creds", value)),
    retries: parsed("retries", (value) => parseCount("--retries", value, 0, 1000)),
    retryMaxTimeMs: parsed("retryMaxTime", (value) => parseSeconds("--retry-max-time", value)),
    limitRate: parsed("limitRate", (value) => parseRate("--limit-rate", value)),
  });
}

/** Without the fields that are undefined. */
function present<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function text(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === "string" ? value : undefined;
}
