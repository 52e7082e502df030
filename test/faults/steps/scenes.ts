/** Stores as the operations find them, made once and copied for each case, and the two images that they are about. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { openVarve, pull, type SnapshotterChoice, type Varve } from "../../../src/index.ts";
import { buildImage } from "../../kit/images/build-image.ts";
import { createRng } from "../../kit/images/rng.ts";
import { startFaultProxy } from "../../kit/faults/fault-proxy.ts";
import { fakeClock } from "../../kit/http/fake-clock.ts";
import { NO_HOME } from "../../kit/http/test-client.ts";
import { runOk } from "../../kit/peers/run.ts";
import { expectedTree } from "../../kit/trees/expected-tree.ts";
import type { TreeEntry } from "../../kit/trees/read-tree.ts";
import { directory, file } from "../../kit/trees/tree-node.ts";
import { publishDeltas, type DeltaImages } from "../lib/delta-images.ts";
import { publishMachines, type PublishedMachine } from "../lib/machine-images.ts";
import { publish, type PublishedImage } from "../lib/published-image.ts";
import { buildRealImage, layerOf, realFiles } from "../lib/real-image.ts";
import { publishUpdate } from "../lib/update-images.ts";
import type { ExpectedTrees } from "../lib/snapshot-faults.ts";
import { OWN_CHANGES, OWN_NAME } from "./write-snapshot.ts";

/**
 * `blobs` has an image that was pulled without being unpacked; `old` one whose tag was pushed anew, `pieces` some of that besides; `base` the one that deltas
 * are of.
 */
export type StoreState =
  | "empty"
  | "first"
  | "both"
  | "partial"
  | "garbage"
  | "blobs"
  | "old"
  | "pieces"
  | "machine"
  | "part of a machine"
  | "base"
  | "part of a delta";

export interface Scenes extends DeltaImages {
  /** The registry that has the images. */
  readonly host: string;
  /** A home directory for the programs that are run. */
  readonly home: string;
  /** They share layers, some of them over different ones. */
  readonly first: PublishedImage;
  readonly second: PublishedImage;
  /** A tag before and after it was pushed anew, with a chunked layer of which most is as it was. */
  readonly old: PublishedImage;
  readonly update: PublishedImage;
  /** A virtual machine, and its next version. */
  readonly machine: PublishedMachine;
  readonly machineUpdate: PublishedMachine;
  /** What each snapshot has to show that operations may leave. */
  readonly trees: ExpectedTrees;
  /** Copies a store to `root`, which must not exist; made when it is asked for first. */
  copy(state: StoreState, snapshotter: SnapshotterChoice, root: string): Promise<void>;
}

export function referenceOf({ host }: Pick<Scenes, "host">, { name, tag }: PublishedImage): string {
  return `${host}/${name}:${tag}`;
}

/** The library on a store, with nothing of this machine's settings. */
export function openAt(
  root: string,
  { readOnly = false, snapshotter = "none" }: { readOnly?: boolean; snapshotter?: SnapshotterChoice } = {},
): Promise<Varve> {
  return openVarve({
    root,
    threads: 0,
    snapshotter,
    store: { readOnly, sync: !readOnly },
    registry: { registriesConf: false, env: NO_HOME, clock: fakeClock() },
  });
}

/** @param dir for the stores. @param registryHost where the images are published */
export async function makeScenes(dir: string, registryHost: string, bytes: number, seed: number): Promise<Scenes> {
  const rng = createRng(seed);
  const image = await buildRealImage({ seed, bytes });
  const [programs, , libraries, , cache] = image.members;
  const software = realFiles(bytes / 4, bytes * 3);
  const other = [directory("srv"), ...software, file("srv/own", rng.bytes(Math.round(bytes / 4)))];
  // As images do it whose builder adds the same thing, mostly nothing, more than once.
  const members = [programs!, other, libraries!, cache!, [directory("etc"), file("etc/second", "second\n")], cache!];
  const layers = [
    image.layers[0]!,
    await layerOf(other, "gzip"),
    image.layers[2]!,
    image.layers[4]!,
    await layerOf(members[4]!, "zstd"),
    image.layers[4]!,
  ];
  const first = await publish(registryHost, "scene/first", "1", image, image.members);
  const second = await publish(registryHost, "scene/second", "1", await buildImage({ layers }), members);
  const home = join(dir, "home");
  await mkdir(home);
  await using making = await openAt(join(dir, "making"));
  const machines = await publishMachines(making, registryHost, home, bytes > 1e6 ? 16 : 8, seed);
  const deltas = await publishDeltas(making, registryHost, "scene/delta", bytes, seed);
  const update = await publishUpdate(registryHost, "scene/update", bytes, seed);
  const images = { first, second, ...machines, ...update, ...deltas };
  const stores = new Stores(join(dir, "scenes"), registryHost, images, rng.bytes(200_000));
  return {
    host: registryHost,
    home,
    ...images,
    trees: new Map<string, readonly TreeEntry[]>([
      ...Object.values(images).flatMap(({ trees }) => Array.from(trees)),
      [OWN_NAME, expectedTree([...image.members, OWN_CHANGES])],
    ]),
    copy: async (state, snapshotter, root) => {
      await runOk("cp", ["-a", "--sparse=always", await stores.get(state, snapshotter), root]);
    },
  };
}

type SceneImages = Pick<
  Scenes,
  "first" | "second" | "old" | "update" | "machine" | "machineUpdate" | keyof DeltaImages
>;

class Stores {
  readonly #dir: string;
  readonly #host: string;
  readonly #images: SceneImages;
  readonly #garbage: Buffer;
  readonly #made = new Map<string, Promise<string>>();

  constructor(dir: string, host: string, images: SceneImages, garbage: Buffer) {
    this.#dir = dir;
    this.#host = host;
    this.#images = images;
    this.#garbage = garbage;
  }

  get(state: StoreState, snapshotter: SnapshotterChoice): Promise<string> {
    const root = join(this.#dir, `${state}-${snapshotter}`);
    const making = this.#made.get(root) ?? this.#make(state, snapshotter, root).then(() => root);
    this.#made.set(root, making);
    return making;
  }

  async #make(state: StoreState, snapshotter: SnapshotterChoice, root: string): Promise<void> {
    await mkdir(root, { recursive: true });
    const { first, second, old, update, machine, deltaBase, delta } = this.#images;
    switch (state) {
      case "empty":
        return;
      case "blobs":
        return this.#pull(root, "none", first);
      case "first":
        return this.#pull(root, snapshotter, first);
      case "both":
        return this.#pull(root, snapshotter, first, second);
      case "garbage":
        await this.#pull(root, snapshotter, first);
        await leaveGarbage(root, this.#garbage);
        return snapshotter === "none" ? undefined : leaveSnapshots(root, snapshotter, this.#host, second);
      case "partial":
        return leavePartial(root, snapshotter, this.#host, first);
      case "old":
        return this.#pull(root, snapshotter, old);
      case "machine":
        return this.#pull(root, "none", machine);
      case "part of a machine":
        return leavePartial(root, "none", this.#host, machine);
      case "base":
        return this.#pull(root, snapshotter, deltaBase);
      case "part of a delta":
        await this.#pull(root, snapshotter, deltaBase);
        return leavePartial(root, snapshotter, this.#host, delta);
      case "pieces":
        await this.#pull(root, snapshotter, old);
        // Where a table of contents comes first, a part of the rest is to come as well.
        return leavePartial(root, snapshotter, this.#host, update, { whole: snapshotter === "none" ? 0 : 1 });
    }
  }

  async #pull(root: string, snapshotter: SnapshotterChoice, ...images: PublishedImage[]): Promise<void> {
    await using varve = await openAt(root, { snapshotter });
    for (const one of images) await pull(varve, referenceOf({ host: this.#host }, one));
  }
}

/** Layers of an image that has no name any more, and one whose unpacker died. */
async function leaveSnapshots(root: string, snapshotter: SnapshotterChoice, host: string, image: PublishedImage) {
  await using varve = await openAt(root, { snapshotter });
  const { reference } = await pull(varve, referenceOf({ host }, image));
  await varve.store.images.delete(reference);
  const { snapshots } = (await varve.snapshotter?.open()) ?? {};
  const { target } = (await snapshots?.stage(digestOf("of somebody who died"))) ?? {};
  if (target === undefined) return;
  await mkdir(target.directory, { recursive: true });
  await writeFile(join(target.directory, "begun"), "not finished");
}

/** Whole blobs that nothing needs, what is known of one, and a partial one. */
async function leaveGarbage(root: string, bytes: Buffer): Promise<void> {
  await using varve = await openAt(root);
  const { content, layers } = varve.store;
  for (let at = 0; at < 6; at++) {
    const blob = bytes.subarray(at * 20_000, at * 20_000 + 15_000);
    const digest = digestOf(blob);
    await content.writeBytes(digest, blob);
    const facts = { mediaType: "application/vnd.oci.image.layer.v1.tar", size: blob.length, entries: 1 };
    if (at < 2) await layers.put({ digest, diffId: digest, uncompressedSize: 9, verifiedAt: new Date(), ...facts });
  }
  const unfinished = { digest: digestOf(bytes), size: bytes.length };
  const place = await content.ingest(unfinished);
  if (!("commit" in place)) throw new Error("nobody else has it");
  await using ingest = place;
  await ingest.write(0, bytes.subarray(0, 100_000));
}

/** What a pull leaves whose line broke for good half-way. @param whole requests for the largest layer that come whole before. Default 0 */
async function leavePartial(
  root: string,
  snapshotter: SnapshotterChoice,
  target: string,
  image: PublishedImage,
  { whole = 0 }: { readonly whole?: number } = {},
): Promise<void> {
  const largest = (image.deltas ?? image.layers).toSorted((a, b) => b.size - a.size)[0]!;
  const path = new RegExp(largest.digest);
  await using proxy = await startFaultProxy({
    target,
    rules: [
      { path, nth: whole + 1, fault: { kind: "drop", afterBytes: Math.floor(largest.size / (2 + 2 * whole)) } },
      { path, nth: { from: whole + 2 }, fault: { kind: "reset" } },
    ],
  });
  await using varve = await openAt(root, { snapshotter });
  const { name, tag } = image;
  await pull(varve, `${proxy.host}/${name}:${tag}`).catch(() => undefined);
  const { content } = varve.store;
  const parts = [largest.digest, ...image.layers.map(({ diffId }) => diffId)];
  const left = (await Promise.all(parts.map((digest) => content.partial(digest as Digest)))).flat();
  if (image.machine !== undefined && (await varve.store.disks.partial(image.machine.key)) !== undefined) return;
  if (left.length === 0) throw new Error("nothing partial was left");
}
