/** What the page's tests look at: a daemon that holds the images of a small fleet, and a registry that has more of them. */
import { onTestFinished } from "vitest";
import { openClient, type Client } from "../../../src/daemon/client/client.ts";
import { startTestDaemon, type TestDaemon, type TestDaemonOptions } from "../../kit/daemon/start-daemon.ts";
import { startFaultProxy, type FaultProxy } from "../../kit/faults/fault-proxy.ts";
import { buildImage } from "../../kit/images/build-image.ts";
import { buildLayer, type KitLayer } from "../../kit/images/build-layer.ts";
import { chunkedLayer } from "../../kit/images/chunked-layer.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import { startRegistry, type KitRegistry } from "../../kit/registry/registry.ts";
import { file, type TreeNode } from "../../kit/trees/tree-node.ts";

export interface Fleet {
  readonly registry: KitRegistry;
  /** Between the daemon and the registry. */
  readonly proxy: FaultProxy;
  readonly daemon: TestDaemon;
  readonly client: Client;
  /** As the daemon calls it. */
  readonly name: (image: string) => string;
  /** Pulls them to their end, one after the other. */
  readonly pull: (...images: string[]) => Promise<void>;
}

/** Those that a fleet's machine would hold; `gateway:2.5` is the update that it does not have. */
export const HELD = ["gateway:2.3", "gateway:2.4", "camera:1.9", "sensor:0.7", "runner:18"];
export const UPDATE = "gateway:2.5";

let pushed: Promise<KitRegistry> | undefined;

/** One registry for all tests of a file: they only read it. Close it when they have ended. */
export function fleetRegistry(): Promise<KitRegistry> {
  return (pushed ??= pushFleet());
}

export async function startFleet(
  options: TestDaemonOptions & { readonly holds?: readonly string[] } = {},
): Promise<Fleet> {
  const registry = await fleetRegistry();
  const proxy = await startFaultProxy({ target: registry.host });
  onTestFinished(() => proxy.close());
  const daemon = await startTestDaemon({ snapshotter: "copy", ...options });
  const client = openClient({ url: daemon.origin });
  const name = (image: string): string => `${proxy.host}/fleet/${image}`;
  const pull = async (...images: string[]): Promise<void> => {
    for (const image of images) {
      const { id } = await client.pulls.create({ reference: name(image), platform: "linux/amd64" });
      const { state, error } = await client.jobs.wait(id);
      if (state !== "done") throw new Error(`${image}: ${state}: ${error?.message}`);
    }
  };
  await pull(...(options.holds ?? HELD));
  return { registry, proxy, daemon, client, name, pull };
}

/** Bases that several share, versions of one program, and layers of a few bytes: what images are made of. */
async function pushFleet(): Promise<KitRegistry> {
  const registry = await startRegistry();
  const rng = createRng(8);
  const layer = (path: string, bytes: number): Promise<KitLayer> => buildLayer([file(path, rng.bytes(bytes))]);
  const [debian, node, settings] = [
    await layer("usr/lib/base", 2_800_000),
    await layer("opt/node", 1_700_000),
    await layer("etc/fleet", 900),
  ];
  const [alpine, tools] = [await layer("lib/musl", 700_000), await layer("usr/bin/git", 1_500_000)];
  const program = programOf(rng);
  const images: Record<string, readonly KitLayer[]> = {
    "gateway:2.3": [debian, node, await chunkedLayer(program(0)), settings],
    "gateway:2.4": [debian, node, await chunkedLayer(program(5)), settings],
    "gateway:2.5": [debian, node, await chunkedLayer(program(12)), await layer("srv/model", 260_000), settings],
    "camera:1.9": [debian, await layer("usr/lib/opencv", 3_100_000), await layer("srv/camera", 420_000), settings],
    "sensor:0.7": [alpine, await layer("srv/sensor", 310_000)],
    "runner:18": [alpine, tools, await layer("opt/runner", 1_900_000), await layer("home/runner", 240_000)],
  };
  for (const [name, layers] of Object.entries(images)) {
    const [repository = "", tag = ""] = name.split(":");
    await pushImage(registry.host, `fleet/${repository}`, tag, await buildImage({ layers }));
  }
  return registry;
}

/** A program of thirty files of which each version has some of its own. */
function programOf(rng: Rng): (changed: number) => TreeNode[] {
  const files = Array.from({ length: 30 }, () => rng.bytes(40_000));
  return (changed) => files.map((bytes, at) => file(`srv/app/${at}`, at < changed ? rng.bytes(40_000) : bytes));
}
