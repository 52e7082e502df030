/**
 * From an image's config to a runtime bundle's `config.json`, OCI image-spec "conversion.md" to runtime-spec 1.0.2. What an
 * image does not say (mounts, namespaces, capabilities) is as `runc spec` has it; see runtime-defaults.ts.
 */
import { posix } from "node:path";
import { VarveError } from "../errors/varve-error.ts";
import type { ContainerDefaults, ImageConfig } from "./config.ts";
import {
  CAPABILITIES,
  defaultMounts,
  MASKED_PATHS,
  NAMESPACES,
  READONLY_PATHS,
  rootlessMounts,
  ROOTLESS_NAMESPACES,
  volumeMount,
  type Mount,
} from "./runtime-defaults.ts";

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ANNOTATION = "org.opencontainers.image.";

export interface RuntimeConfigOptions {
  /** As resolved by `resolveUser`. */
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids?: readonly number[];
  /** Default `varve`. */
  readonly hostname?: string;
  /** Default `rootfs`, relative to the bundle. */
  readonly rootPath?: string;
  /** Whether the root file system may not be written; the image's volumes then are tmpfs mounts. Default false. */
  readonly readonly?: boolean;
  /** Default false. */
  readonly terminal?: boolean;
  /**
   * For a user without privileges: the ids on the host that the container's root is. An unprivileged process can map just
   * its own, so the process runs as the container's root whatever the image says, and has no additional groups.
   */
  readonly rootless?: { readonly hostUid: number; readonly hostGid: number };
}

interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** The parts of runtime-spec "config.md" that are written here. */
export interface RuntimeConfig {
  readonly ociVersion: string;
  readonly process: {
    readonly terminal: boolean;
    readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids?: readonly number[] };
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly capabilities: Readonly<Record<"bounding" | "effective" | "permitted", readonly string[]>>;
    readonly noNewPrivileges: boolean;
  };
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname: string;
  readonly mounts: readonly Mount[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: {
    readonly uidMappings?: readonly IdMapping[];
    readonly gidMappings?: readonly IdMapping[];
    readonly resources?: { readonly devices: readonly { readonly allow: boolean; readonly access: string }[] };
    readonly namespaces: readonly { readonly type: string }[];
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}

/** @throws VarveError `CONFIG_INVALID` when a text that goes to a system call holds a NUL */
export function runtimeConfig(image: ImageConfig, options: RuntimeConfigOptions): RuntimeConfig {
  const { rootless, readonly = false } = options;
  const { config } = image;
  const user = processUser(options);
  const volumes = readonly ? (config.Volumes ?? []).map((path) => volumeMount(absolute(path), user)) : [];
  const result: RuntimeConfig = {
    ociVersion: "1.0.2",
    process: {
      terminal: options.terminal ?? false,
      user,
      args: args(config),
      env: environment(config, options.terminal ?? false),
      cwd: absolute(config.WorkingDir ?? "/"),
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      noNewPrivileges: true,
    },
    root: { path: options.rootPath ?? "rootfs", readonly },
    hostname: options.hostname ?? "varve",
    mounts: [...(rootless === undefined ? defaultMounts() : rootlessMounts()), ...volumes],
    annotations: annotations(image),
    linux: {
      ...(rootless === undefined
        ? { resources: { devices: [{ allow: false, access: "rwm" }] }, namespaces: NAMESPACES }
        : {
            uidMappings: [{ containerID: 0, hostID: rootless.hostUid, size: 1 }],
            gidMappings: [{ containerID: 0, hostID: rootless.hostGid, size: 1 }],
            namespaces: ROOTLESS_NAMESPACES,
          }),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
  };
  refuseNul(image, result);
  return result;
}

function processUser(options: RuntimeConfigOptions): RuntimeConfig["process"]["user"] {
  if (options.rootless !== undefined) return { uid: 0, gid: 0 };
  const { uid, gid, additionalGids = [] } = options;
  return { uid, gid, ...(additionalGids.length > 0 && { additionalGids }) };
}

/** An image without a command gets the shell that `runc spec` has, as a config without args is not valid. */
function args(config: ContainerDefaults): string[] {
  const words = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  return words.length > 0 ? words : ["sh"];
}

function environment(config: ContainerDefaults, terminal: boolean): string[] {
  const env = [...(config.Env ?? [])];
  if (!env.some((entry) => entry.startsWith("PATH="))) env.unshift(DEFAULT_PATH);
  if (terminal && !env.some((entry) => entry.startsWith("TERM="))) env.push("TERM=xterm");
  return env;
}

/** The runtime wants absolute paths; Docker takes a relative one as from the root. */
function absolute(path: string): string {
  return posix.resolve("/", path);
}

/** Explicit labels win over what is implied by other fields. */
function annotations(image: ImageConfig): Record<string, string> {
  const implied = {
    os: image.os,
    architecture: image.architecture,
    variant: image.variant,
    "os.version": image.osVersion,
    "os.features": image.osFeatures?.join(","),
    author: image.author,
    created: image.created,
    stopSignal: image.config.StopSignal,
    exposedPorts: image.config.ExposedPorts?.join(","),
  };
  const stated = Object.entries(implied).filter(([, value]) => value !== undefined && value !== "");
  const labels = Object.entries(image.config.Labels ?? {});
  return Object.fromEntries([...stated.map(([name, value]) => [ANNOTATION + name, value ?? ""] as const), ...labels]);
}

function refuseNul(image: ImageConfig, { process, mounts }: RuntimeConfig): void {
  const texts = [...process.args, ...process.env, process.cwd, ...mounts.map((mount) => mount.destination)];
  if (texts.some((text) => text.includes("\0"))) {
    throw new VarveError(
      "CONFIG_INVALID",
      `image config ${image.digest} has a NUL in its command, environment or paths`,
    );
  }
}
