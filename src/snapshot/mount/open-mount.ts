/**
 * Mounts by file descriptors: fsopen(2) and what belongs to it. An overlay gets its layers one by one (`lowerdir+`, since Linux 6.7), so
 * that there may be as many as the kernel takes (500) however long their paths.
 */
import { openBind, openFileSystem, MS_RDONLY, type MountParameter, type OpenMount } from "../../sys/mount.ts";
import { MAX_PARAMETER_BYTES } from "../../sys/mount-calls.ts";
import { escapePath, type ErofsMount, type OverlayMount, type ParsedMount } from "./parse-mount.ts";
import { ShortPaths } from "./short-paths.ts";

/** A mount that is nowhere yet. @throws NodeJS.ErrnoException; FFI_UNAVAILABLE */
export function openMount(mount: ParsedMount): OpenMount {
  using paths = new ShortPaths();
  switch (mount.type) {
    case "bind":
      return openBind(mount.source, mount);
    case "erofs":
      return openFileSystem(mount.type, erofsParameters(mount, paths), mount.flags);
    case "overlay":
      return openFileSystem(mount.type, overlayParameters(mount, paths), mount.flags);
  }
}

function erofsParameters(mount: ErofsMount, paths: ShortPaths): MountParameter[] {
  const path = (key: string, value: string): MountParameter => ({ key, value: paths.fit(value, MAX_PARAMETER_BYTES) });
  const devices = mount.devices.map((device) => path("device", device));
  return [path("source", mount.source), ...readOnly(mount.flags), ...mount.parameters, ...devices];
}

function overlayParameters(mount: OverlayMount, paths: ShortPaths): MountParameter[] {
  const parameters: MountParameter[] = [{ key: "source", value: mount.source }, ...readOnly(mount.flags)];
  parameters.push(...mount.parameters);
  for (const layer of mount.lower) parameters.push({ key: "lowerdir+", value: paths.fit(layer, MAX_PARAMETER_BYTES) });
  // Of these two the kernel takes backslashes away, of lowerdir+ it does not.
  for (const [key, path] of [
    ["upperdir", mount.upper],
    ["workdir", mount.work],
  ] as const) {
    if (path !== undefined) parameters.push({ key, value: escapePath(paths.fit(path, MAX_PARAMETER_BYTES, /\\/)) });
  }
  return parameters;
}

function readOnly(flags: number): MountParameter[] {
  return (flags & MS_RDONLY) === 0 ? [] : [{ key: "ro" }];
}
