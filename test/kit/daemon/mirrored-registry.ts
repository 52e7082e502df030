/**
 * A daemon that mirrors a registry of a public kind of name, `registry.test`, for real clients: Debian's docker-registry behind a proxy that can
 * break things. What clients ask the daemon for they could ask nobody else for.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { startFaultProxy, type FaultProxy } from "../faults/fault-proxy.ts";
import { noise } from "../http/test-client.ts";
import { buildImage, buildIndex, type KitImage, type KitIndex } from "../images/build-image.ts";
import { pushImage } from "../images/push-image.ts";
import { startDockerRegistry, type DockerRegistry } from "../peers/docker-registry.ts";
import { tempDir } from "../temp-dir.ts";
import { file } from "../trees/tree-node.ts";
import { startTestDaemon, type TestDaemon } from "./start-daemon.ts";

export const UPSTREAM = "registry.test";

export interface MirroredRegistry {
  readonly daemon: TestDaemon;
  readonly registry: DockerRegistry;
  /** Between the daemon and the registry. */
  readonly proxy: FaultProxy;
  /** `registry.test/team/app:v1`: an index of this one image, of this machine's platform. */
  readonly image: KitImage;
  readonly index: KitIndex;
  /** For files of the test's. */
  readonly dir: string;
  /** Body bytes of blobs that upstream has sent. */
  readonly blobBytes: () => number;
}

/** Gone when the test has finished. */
export async function startMirroredRegistry(): Promise<MirroredRegistry> {
  const dir = await tempDir("varve-clients-");
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const registry = await startDockerRegistry();
  onTestFinished(() => registry.close());
  const proxy = await startFaultProxy({ target: registry.host });
  onTestFinished(() => proxy.close());
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const image = await buildImage({
    platform: { os: "linux", architecture },
    layers: [
      [file("etc/motd", "hello\n"), file("usr/lib/noise", noise(3 << 20, "a").toString("latin1"))],
      [file("opt/app", noise(5 << 20, "b").toString("latin1"))],
    ],
  });
  const index = buildIndex([image]);
  await pushImage(registry.host, "team/app", "v1", index);
  const hostsDir = join(dir.path, "daemon-hosts");
  await writeHosts(hostsDir, `server = "${proxy.url}"\n`);
  const daemon = await startTestDaemon({ upstreams: [UPSTREAM], registry: { hostsDir } });
  return { daemon, registry, proxy, image, index, dir: dir.path, blobBytes: () => proxy.bytesFor(/\/blobs\//) };
}

/** A directory of hosts.toml with this one for `registry.test`. */
export async function writeHosts(directory: string, toml: string): Promise<void> {
  await mkdir(join(directory, UPSTREAM), { recursive: true });
  await writeFile(join(directory, UPSTREAM, "hosts.toml"), toml);
}
