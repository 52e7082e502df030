/**
 * Mounts by mount(2), which is all there is before Linux 5.2 and under some sandboxes. It has one page for all options together, and
 * parts them by commas.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { mountClassic, MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT, unmount, type MountParameter } from "../../sys/mount.ts";
import { MAX_DATA_BYTES } from "../../sys/mount-calls.ts";
import { readMountInfo } from "../../sys/mount-info.ts";
import { nameLength } from "../../sys/path-bytes.ts";
import {
  escapeLayer,
  escapePath,
  MOUNT_FLAGS,
  type ErofsMount,
  type OverlayMount,
  type ParsedMount,
} from "./parse-mount.ts";
import { ShortPaths } from "./short-paths.ts";

/** @throws NodeJS.ErrnoException; MOUNT_FAILED when there are more layers than a page has room for; FFI_UNAVAILABLE */
export async function classicMount(mount: ParsedMount, target: string): Promise<void> {
  using paths = new ShortPaths();
  const { source, type, flags } = mount;
  if (mount.type === "bind") {
    await bind(source, target, flags, mount.recursive);
  } else {
    const data = mount.type === "erofs" ? erofsData(mount, paths) : overlayData(mount, paths);
    mountClassic({ source, type, flags, data }, target);
  }
}

/** That it may only be read is said in a second step. */
async function bind(source: string, target: string, flags: number, recursive: boolean): Promise<void> {
  mountClassic({ source, type: "", flags: MS_BIND | (recursive ? MS_REC : 0) }, target);
  if ((flags & MS_RDONLY) === 0) return;
  try {
    mountClassic({ source: "", type: "", flags: MS_REMOUNT | MS_BIND | flags | lockedFlags(target) }, target);
  } catch (error) {
    await unmount(target, { lazy: true });
    throw error;
  }
}

/** What the mount has already, which a user namespace must not take away. */
function lockedFlags(target: string): number {
  const mount = readMountInfo().findLast((mount) => mount.target === target);
  return (mount?.options ?? []).reduce((flags, option) => flags | (MOUNT_FLAGS.get(option) ?? 0), 0);
}

function erofsData(mount: ErofsMount, paths: ShortPaths): string {
  const build = (limit: number): string =>
    join(
      mount.parameters,
      mount.devices.map((device) => `device=${paths.fit(device, limit, /,/)}`),
    );
  return fitting(build);
}

function overlayData(mount: OverlayMount, paths: ShortPaths): string {
  const build = (limit: number): string => {
    const options = [`lowerdir=${mount.lower.map((layer) => escapeLayer(paths.fit(layer, limit))).join(":")}`];
    if (mount.upper !== undefined) options.push(`upperdir=${escapePath(mount.upper)}`);
    if (mount.work !== undefined) options.push(`workdir=${escapePath(mount.work)}`);
    return join(mount.parameters, options.map(escapeComma));
  };
  return fitting(build);
}

function escapeComma(option: string): string {
  return option.replaceAll(",", "\\,");
}

function join(parameters: readonly MountParameter[], more: readonly string[]): string {
  const own = parameters.map(({ key, value }) => (value === undefined ? key : `${key}=${value}`));
  return [...own, ...more].join(",");
}

/** With the paths as they are, or with short ones where that is too long. */
function fitting(build: (limit: number) => string): string {
  const whole = build(Number.POSITIVE_INFINITY);
  if (nameLength(whole) <= MAX_DATA_BYTES) return whole;
  const short = build("/proc/self/fd/000".length);
  if (nameLength(short) <= MAX_DATA_BYTES) return short;
  throw new VarveError(
    "MOUNT_FAILED",
    `the options of the mount have ${nameLength(short)} bytes, mount(2) takes 4095`,
    {
      hint: "so many layers need Linux 6.7, or the copy driver: --snapshotter copy",
    },
  );
}
