/**
 * A real image with layers by three builders: buildah (a debootstrap tree, packages, deletions), GNU tar (PAX with nanoseconds,
 * attributes and holes) and umoci (the difference between two trees). Nothing of it is made by code of this project.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { findPeer, type PeerName } from "../../../kit/peers.ts";
import { run, runOk, type RunOptions, type RunResult } from "../../../kit/peers/run.ts";
import { unmountBelow } from "../../../kit/unmount-below.ts";
import { BY_TAR, BY_UMOCI, CHANGE, CLEAN_BASE, INSTALL, XATTRS } from "./changes.ts";

/** What has to be installed to build it; devices and owners need root as well. */
export const DEBIAN_PEERS: readonly PeerName[] = ["debootstrap", "buildah", "umoci", "tar", "python3", "unshare"];

export const RELEASE = "bookworm";
/** What the image runs. */
const COMMAND = ["/bin/sh", "-c", "cat /etc/os-release"];
const SOURCES = "/etc/apt/sources.list.d/debian.sources";
const BUILD_MS = 240_000;
const SET_XATTR = "import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())";
/** How debootstrap and apt say that packages cannot be had. */
const NO_WAY = /Failed getting release file|Couldn't download|Failed to fetch|Could not (?:resolve|connect)/;

/** The machine has no way to Debian's packages: the image cannot be built here and now. */
export class MirrorUnreachable extends Error {
  override name = "MirrorUnreachable";
}

export interface BuiltImage {
  /** An image layout. */
  readonly layout: string;
  readonly tag: string;
  readonly layers: number;
}

/**
 * Takes about half a minute.
 *
 * @param dir an empty directory, for the image and all that is needed on the way
 * @throws MirrorUnreachable
 */
export async function buildDebian(dir: string): Promise<BuiltImage> {
  const mirror = await findMirror();
  const layout = join(dir, "layout");
  try {
    await buildWithBuildah(dir, mirror, `oci:${layout}:v1`);
    await addTarLayer(dir, `${layout}:v1`);
    await addUmociLayer(dir, `${layout}:v1`);
  } catch (error) {
    if (!(error instanceof Error) || !NO_WAY.test(error.message)) throw error;
    throw new MirrorUnreachable(error.message.slice(-1000), { cause: error });
  } finally {
    await unmountBelow(dir);
  }
  return { layout, tag: "v1", layers: 5 };
}

/** The mirror that this machine's apt is set up with. */
async function findMirror(): Promise<string> {
  const text = await readFile(SOURCES, "utf8").catch(() => "");
  const mirror = /^URIs:\s*(\S+)/m.exec(text)?.[1];
  if (mirror === undefined) throw new MirrorUnreachable(`${SOURCES} names no mirror`);
  return mirror;
}

/** Three layers: the base, packages, changes. */
async function buildWithBuildah(dir: string, mirror: string, destination: string): Promise<void> {
  const places = ["--root", join(dir, "storage"), "--runroot", join(dir, "run")];
  const buildah = async (command: string, ...args: string[]): Promise<string> => {
    const all = ["--storage-driver", "overlay", ...places, command, ...args];
    return (await contained(peer("buildah"), all)).stdout.toString().trim();
  };

  const base = await buildah("from", "scratch");
  const baseTree = await buildah("mount", base);
  await debootstrap(baseTree, mirror);
  await runOk("chroot", [baseTree, "sh", "-ec", CLEAN_BASE]);
  await buildah("umount", base);
  await buildah("commit", "--quiet", base, "varve-base");

  const tools = await buildah("from", "--pull-never", "localhost/varve-base");
  await buildah("run", "--isolation", "chroot", "--network", "host", tools, "--", "sh", "-ec", INSTALL);
  await buildah("commit", "--quiet", tools, "varve-tools");

  // Through the mount and not through `buildah run`, which lets nobody make devices.
  const changed = await buildah("from", "--pull-never", "localhost/varve-tools");
  await contained("chroot", [await buildah("mount", changed), "sh", "-ec", CHANGE]);
  await buildah("umount", changed);
  await buildah("config", "--cmd", JSON.stringify(COMMAND), changed);
  await buildah("commit", "--quiet", changed, "varve-changed");
  await buildah("push", "--quiet", "varve-changed", destination);
  await buildah("rm", "--all");
}

async function debootstrap(tree: string, mirror: string): Promise<void> {
  const args = ["--variant=minbase", RELEASE, tree, mirror];
  const { code, stdout, stderr } = await run(...container(peer("debootstrap"), args));
  if (code === 0) return;
  throw new Error(`debootstrap ended with ${code}: ${`${stdout.toString()}${stderr}`.slice(-2000)}`);
}

async function addTarLayer(dir: string, image: string): Promise<void> {
  const tree = join(dir, "by-tar");
  const archive = join(dir, "by-tar.tar");
  await mkdir(tree);
  await runOk("sh", ["-ec", BY_TAR], { cwd: tree });
  for (const attribute of XATTRS) await runOk(peer("python3"), ["-c", SET_XATTR, ...attribute], { cwd: tree });
  const args = "--format=posix --sparse --numeric-owner --sort=name --xattrs --xattrs-include=*".split(" ");
  await runOk(peer("tar"), [...args, "-C", tree, "-cf", archive, "."]);
  await runOk(peer("umoci"), ["raw", "add-layer", "--image", image, archive]);
}

async function addUmociLayer(dir: string, image: string): Promise<void> {
  const bundle = join(dir, "bundle");
  await runOk(peer("umoci"), ["unpack", "--image", image, bundle], { timeoutMs: BUILD_MS });
  await runOk("sh", ["-ec", BY_UMOCI], { cwd: join(bundle, "rootfs") });
  await runOk(peer("umoci"), ["repack", "--image", image, bundle], { timeoutMs: BUILD_MS });
}

function contained(program: string, args: readonly string[]): Promise<RunResult> {
  return runOk(...container(program, args));
}

/** Builders start many programs: with the one that is killed go all that it started. */
function container(program: string, args: readonly string[]): [string, string[], RunOptions] {
  return [peer("unshare"), ["--pid", "--fork", "--kill-child", program, ...args], { timeoutMs: BUILD_MS }];
}

function peer(name: PeerName): string {
  return findPeer(name) ?? name;
}
