/** What the tests of chunked images share: an application of which there are two versions, and how its unpacked image is judged. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openVarve } from "../../src/index.ts";
import { chainIds } from "../../src/oci/chain-id.ts";
import { snapshotFaults, treeOf } from "../faults/lib/snapshot-faults.ts";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import type { ChunkedMember } from "../kit/images/tar-members.ts";
import { startRegistry, type KitRegistry, type RegistryOptions } from "../kit/registry/registry.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { DEFAULT_MTIME, directory, file, hardlink, symlink, type TreeNode } from "../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "./machine.ts";
import { storeFaults } from "./store-health.ts";

const rng = createRng(21);
const FILES = Array.from({ length: 30 }, (_, at) => rng.bytes(10_000 + at * 2000));
const LARGE = rng.text(1_500_000);
const NEW = rng.bytes(50_000);
/** Enough that it pays to have it here, however slow this machine is at the moment. */
const KEPT = rng.bytes(4_000_000);

/** Compressed bytes of what the second version has and the first has not, with all that has to come with it. */
export const MOST_CHANGED = NEW.length + FILES[5]!.length + 200_000;

/** An application of many files, of which the second version has one changed, one renamed, one that is new, and one line more in a large one. */
export function version(number: 1 | 2): TreeNode[] {
  const isNew = number === 2;
  const large = Buffer.concat([
    LARGE.subarray(0, 700_000),
    Buffer.from(isNew ? "one line more\n" : ""),
    LARGE.subarray(700_000),
  ]);
  return [
    directory("app"),
    ...FILES.map((bytes, at) =>
      file(isNew && at === 3 ? "app/renamed" : `app/f${at}`, isNew && at === 5 ? bytes.subarray(9) : bytes),
    ),
    file("app/large", large),
    file("app/kept", KEPT),
    file("app/zeros", new Uint8Array(300_000)),
    symlink("app/link", "large"),
    hardlink("app/same", "app/large"),
    ...(isNew ? [file("app/new", NEW)] : []),
  ];
}

/** The same members for the builders of layers that are not the product's own. */
export function membersOf(nodes: readonly TreeNode[]): ChunkedMember[] {
  return nodes.map(({ type, path, target, content }) => ({
    type,
    name: type === "directory" ? `${path}/` : path,
    modifiedAt: { seconds: Number(DEFAULT_MTIME / 1_000_000_000n), nanoseconds: 0 },
    ...(target !== undefined && { linkName: target }),
    ...(content !== undefined && { content: Buffer.from(content) }),
  }));
}

export interface ChunkedBench extends AsyncDisposable {
  readonly registry: KitRegistry;
  /** Before the registry. */
  readonly proxy: FaultProxy;
  /** @returns its name behind the proxy */
  push(repository: string, tag: string, image: KitImage): Promise<string>;
  /** Goes with the test, and the proxy's rules with it. */
  machine(driver: string): Promise<Machine>;
}

export async function chunkedBench(options: RegistryOptions = {}): Promise<ChunkedBench> {
  const registry = await startRegistry(options);
  const proxy = await startFaultProxy({ target: registry.host });
  return {
    registry,
    proxy,
    async push(repository, tag, image) {
      await pushImage(registry.host, repository, tag, image);
      return `${proxy.host}/${repository}:${tag}`;
    },
    async machine(driver) {
      const made = await newMachine({ VARVE_SNAPSHOTTER: driver });
      onTestFinished(() => made[Symbol.asyncDispose]());
      onTestFinished(() => proxy.setRules([]));
      return made;
    },
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await registry.close();
    },
  };
}

/** What is wrong with the store and with the image in it, whose layers have just these nodes. */
export async function imageFaults(
  here: Pick<Machine, "root">,
  image: KitImage,
  layers: readonly (readonly TreeNode[])[],
): Promise<string[]> {
  const { root } = here;
  // Blobs of layers that were made of pieces are not here, on purpose.
  const found = await storeFaults(root, new Set(image.layers.map(({ descriptor }) => descriptor.digest)));
  await using varve = await openVarve({ root, threads: 0, store: { readOnly: true } });
  found.push(...(await snapshotFaults(varve.store)));
  return [...found, ...(await treeFaults(here, image, layers)), ...(await readdir(join(root, "ingest")))];
}

/** What is wrong with the unpacked image alone. */
export async function treeFaults(
  { root }: Pick<Machine, "root">,
  image: KitImage,
  layers: readonly (readonly TreeNode[])[],
): Promise<string[]> {
  await using varve = await openVarve({ root, threads: 0, store: { readOnly: true } });
  const top = chainIds(image.layers.map(({ diffId }) => diffId)).at(-1)!;
  for await (const entry of varve.store.snapshots.walk([{ name: top }])) {
    const tree = await treeOf(varve.store, entry);
    return diffTrees(tree, expectedTree(layers), { root: false, directoryTimes: false });
  }
  return ["it is not unpacked"];
}
