/** containerd with a root, a state and a socket of its own, without what needs a network of pods. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findPeer } from "../peers.ts";
import { runOk, start } from "./run.ts";

export interface Containerd extends AsyncDisposable {
  /** `ctr` against it, in the namespace "default". @throws Error with what it says when it fails */
  readonly ctr: (...args: readonly string[]) => Promise<Buffer>;
}

/** @param dir for all that it keeps; short enough for a socket's path */
export async function startContainerd(dir: string): Promise<Containerd> {
  const program = findPeer("containerd");
  const client = findPeer("ctr");
  if (program === undefined || client === undefined) throw new Error("containerd is not installed");
  await mkdir(dir, { recursive: true });
  const socket = join(dir, "c.sock");
  const config = join(dir, "config.toml");
  const disabled = ["cri", "aufs", "btrfs", "devmapper", "overlayfs", "zfs"].map((name) =>
    name === "cri" ? "io.containerd.grpc.v1.cri" : `io.containerd.snapshotter.v1.${name}`,
  );
  await writeFile(
    config,
    `version = 2
root = "${join(dir, "root")}"
state = "${join(dir, "state")}"
disabled_plugins = ${JSON.stringify([...disabled, "io.containerd.internal.v1.opt"])}
[grpc]
  address = "${socket}"
`,
  );
  const server = start(program, ["--config", config], { timeoutMs: Infinity });
  await server.output(/containerd successfully booted/);
  return {
    ctr: async (...args) => (await runOk(client, ["--address", socket, ...args], { timeoutMs: 120_000 })).stdout,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
