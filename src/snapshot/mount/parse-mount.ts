/**
 * A `Mount`, whose options are written as mount(8) takes them, as what there is to mount. overlayfs parts the directories of `lowerdir` by
 * colons and takes backslashes before colons and backslashes away (Documentation/filesystems/overlayfs.rst).
 */
import { VarveError } from "../../errors/varve-error.ts";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, type MountParameter } from "../../sys/mount.ts";
import type { Mount } from "../types.ts";

export interface BindMount {
  readonly type: "bind";
  readonly source: string;
  readonly recursive: boolean;
  /** `MS_...` of the mount. */
  readonly flags: number;
}

export interface ErofsMount {
  readonly type: "erofs";
  readonly source: string;
  /** In the order of the index's device slots. */
  readonly devices: readonly string[];
  readonly flags: number;
  readonly parameters: readonly MountParameter[];
}

export interface OverlayMount {
  readonly type: "overlay";
  readonly source: string;
  /** The topmost first. */
  readonly lower: readonly string[];
  readonly upper: string | undefined;
  readonly work: string | undefined;
  readonly flags: number;
  readonly parameters: readonly MountParameter[];
}

export type ParsedMount = BindMount | ErofsMount | OverlayMount;

/** Options that belong to the mount, not to the file system. */
export const MOUNT_FLAGS: ReadonlyMap<string, number> = new Map([
  ["ro", MS_RDONLY],
  ["nosuid", MS_NOSUID],
  ["nodev", MS_NODEV],
  ["noexec", MS_NOEXEC],
]);

/** What mount(8) knows and no kernel is told. */
const SILENT: ReadonlySet<string> = new Set(["rw", "bind", "rbind", "suid", "dev", "exec", "defaults"]);

/** @throws MOUNT_FAILED for what is none of ours */
export function parseMount(mount: Mount): ParsedMount {
  const { source, type, options } = mount;
  const flags = options.reduce((sum, option) => sum | (MOUNT_FLAGS.get(option) ?? 0), 0);
  const own = options.filter((option) => !MOUNT_FLAGS.has(option) && !SILENT.has(option)).map(parseOption);
  const rest = (...taken: string[]): MountParameter[] => own.filter(({ key }) => !taken.includes(key));
  const one = (key: string): string | undefined => own.find((option) => option.key === key)?.value;
  switch (type) {
    case "bind":
      return { type, source, flags, recursive: options.includes("rbind") };
    case "erofs": {
      const devices = own.flatMap(({ key, value }) => (key === "device" && value !== undefined ? [value] : []));
      return { type, source, flags, devices, parameters: rest("device") };
    }
    case "overlay": {
      const [upper, work] = [one("upperdir"), one("workdir")].map((path) => path && unescape(path));
      const lower = splitLayers(one("lowerdir") ?? "");
      return { type, source, flags, lower, upper, work, parameters: rest("lowerdir", "upperdir", "workdir") };
    }
    default:
      throw new VarveError("MOUNT_FAILED", `mounts of type ${String(type satisfies never)} are unknown here`);
  }
}

function parseOption(option: string): MountParameter {
  const equals = option.indexOf("=");
  return equals === -1 ? { key: option } : { key: option.slice(0, equals), value: option.slice(equals + 1) };
}

export interface OverlayPaths {
  /** The topmost first. */
  readonly lower: readonly string[];
  /** Without them nothing can be written. */
  readonly upper?: string;
  readonly work?: string;
}

/** The options of an overlay as mount(8) takes them. */
export function overlayOptions({ lower, upper, work }: OverlayPaths, more: readonly string[] = []): string[] {
  const options = [...more, `lowerdir=${lower.map(escapeLayer).join(":")}`];
  if (upper !== undefined) options.push(`upperdir=${escapePath(upper)}`);
  if (work !== undefined) options.push(`workdir=${escapePath(work)}`);
  return options;
}

/** One directory of `lowerdir`. */
export function escapeLayer(path: string): string {
  return path.replace(/[\\:]/g, "\\$&");
}

/** The directory of `upperdir` or `workdir`. */
export function escapePath(path: string): string {
  return path.replaceAll("\\", "\\\\");
}

function unescape(path: string): string {
  return path.replace(/\\(.)/gsu, "$1");
}

function splitLayers(value: string): string[] {
  const layers = value.match(/(?:\\.|[^\\:])+/gsu) ?? [];
  return layers.map(unescape);
}
