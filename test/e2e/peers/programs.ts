/** The programs that these tests hold varve to: whether they are here, and how they are asked. */
import { findPeer, type PeerName } from "../../kit/peers.ts";
import { runOk } from "../../kit/peers/run.ts";

/** For `describe.skipIf`: a missing peer fails the whole run under `VARVE_REQUIRE_PEERS=1`, see test/kit/peer-report.ts. */
export function lacks(...names: readonly PeerName[]): boolean {
  return names.some((name) => findPeer(name) === undefined);
}

/** Owners, devices and runtimes need it. */
export const isRoot = process.getuid?.() === 0;

/** @returns what it printed */
export async function skopeo(...args: readonly string[]): Promise<Buffer> {
  return (await runOk(program("skopeo"), ["--insecure-policy", ...args])).stdout;
}

/** `skopeo copy`; registries on loopback are without TLS. */
export async function skopeoCopy(from: string, to: string, ...flags: readonly string[]): Promise<void> {
  const plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
  await skopeo("copy", "--quiet", ...plain, ...flags, from, to);
}

/** The manifest or index as skopeo finds it. */
export function skopeoRaw(name: string): Promise<Buffer> {
  const insecure = name.startsWith("docker://") ? ["--tls-verify=false"] : [];
  return skopeo("inspect", "--raw", ...insecure, name);
}

export interface RawManifest {
  readonly mediaType?: string;
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly mediaType: string }[];
}

export async function skopeoManifest(name: string): Promise<RawManifest> {
  return JSON.parse((await skopeoRaw(name)).toString()) as RawManifest;
}

/** Unpacks with umoci; the tree is in `bundle`/rootfs. @param image `LAYOUT:TAG` */
export async function umociUnpack(image: string, bundle: string): Promise<string> {
  await runOk(program("umoci"), ["unpack", "--image", image, bundle]);
  return `${bundle}/rootfs`;
}

/** The names of a layout's images. */
export async function umociList(layout: string): Promise<string[]> {
  const { stdout } = await runOk(program("umoci"), ["list", "--layout", layout]);
  return stdout.toString().trim().split("\n").toSorted();
}

export function program(name: PeerName): string {
  return findPeer(name) ?? name;
}
