/** File systems to copy disks on: where temporary files are, a tmpfs, and ext4, XFS and btrfs in files, where this machine lets us mount them. */
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openFileSystem } from "../../../src/sys/mount.ts";
import { canLoop, canMount } from "../mounts/can-mount.ts";
import { mountDir } from "../mounts/mount-dir.ts";
import { findPeer } from "../peers.ts";
import { runOk } from "../peers/run.ts";
import { tempDir, type TempDir } from "../temp-dir.ts";

export interface DiskFileSystem {
  readonly name: string;
  /** Why not here; undefined where it can be used. */
  readonly missing: string | undefined;
  /** Whether files can share blocks. */
  readonly shares: boolean;
  make(): Promise<TempDir>;
}

const MAKERS = [
  { name: "ext4", program: "mkfs.ext4", options: ["-q", "-F"], megabytes: 200, shares: false },
  { name: "xfs", program: "mkfs.xfs", options: ["-q"], megabytes: 400, shares: true },
  { name: "btrfs", program: "mkfs.btrfs", options: ["-q"], megabytes: 300, shares: true },
] as const;

export const DISK_FILE_SYSTEMS: readonly DiskFileSystem[] = [
  { name: "the file system of temporary files", missing: undefined, shares: false, make: () => tempDir() },
  {
    name: "tmpfs",
    missing: canMount() ? undefined : "this machine lets nobody mount",
    shares: false,
    make: () => mountTmpfs("200m"),
  },
  ...MAKERS.map(({ name, program, options, megabytes, shares }): DiskFileSystem => {
    const path = findPeer(program);
    const none = path === undefined ? `${program} is not installed` : undefined;
    const missing = none ?? (canLoop() && canMount() ? undefined : "this machine lets nobody mount files");
    return { name, missing, shares, make: () => mountFile(path!, options, megabytes) };
  }),
];

/** @param size as mount(8) takes it */
export async function mountTmpfs(size: string): Promise<TempDir> {
  const dir = await mountDir();
  const path = join(dir.path, "tmpfs");
  mkdirSync(path);
  using mount = openFileSystem("tmpfs", [{ key: "size", value: size }]);
  mount.attach(path);
  return { path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

/** The file lies in memory, so that syncing it, which every copy does, waits for no disk. */
async function mountFile(program: string, options: readonly string[], megabytes: number): Promise<TempDir> {
  const dir = await mountTmpfs(`${megabytes + 1}m`);
  const image = join(dir.path, "disk.img");
  const path = join(dir.path, "mounted");
  writeFileSync(image, "");
  truncateSync(image, megabytes << 20);
  mkdirSync(path);
  await runOk(program, [...options, image]);
  await runOk("mount", ["-o", "loop", image, path]);
  return { path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}
