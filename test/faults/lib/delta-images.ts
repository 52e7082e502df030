/** A tag that is pushed anew, and the deltas between its two versions: as an image of its own, and beside the new one, where plain pulls find them. */
import { createDelta, pull, removeImages, type Varve } from "../../../src/index.ts";
import { buildImage, type KitImage } from "../../kit/images/build-image.ts";
import { createRng } from "../../kit/images/rng.ts";
import { directory, file, hardlink, type TreeNode } from "../../kit/trees/tree-node.ts";
import { publish, type PublishedImage } from "./published-image.ts";
import { layerOf, realFiles } from "./real-image.ts";

export interface DeltaImages {
  readonly deltaBase: PublishedImage;
  /** Where plain pulls find deltas. */
  readonly deltaTarget: PublishedImage;
  /** The delta image's name; what a pull of it has to end in is the target. */
  readonly delta: PublishedImage;
}

const ACCEPT = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";

interface Manifest {
  readonly config: { readonly size: number };
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

/**
 * @param making a store for making the deltas, in which nothing is left
 * @param repository of all of them, as tags `old`, `new` and `delta`
 * @param bytes about how many the large layer of each has, compressed
 */
export async function publishDeltas(
  making: Varve,
  host: string,
  repository: string,
  bytes: number,
  seed: number,
): Promise<DeltaImages> {
  const [old, fresh] = await versions(bytes, seed);
  const deltaBase = await publish(host, repository, "old", ...old);
  const target = await publish(host, repository, "new", ...fresh);
  const [from, to, push] = ["old", "new", "delta"].map((tag) => `${host}/${repository}:${tag}`) as [
    string,
    string,
    string,
  ];
  await pull(making, from);
  await pull(making, to);
  await createDelta(making, from, to, { push });
  await removeImages(making, [from, to]);
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/delta`, { headers: { accept: ACCEPT } });
  const document = Buffer.from(await answer.arrayBuffer());
  const { config, layers } = JSON.parse(document.toString()) as Manifest;
  const documents = document.length + config.size;
  // Whoever looks for deltas reads what is listed, and what describes them, before anything of them comes.
  const deltaTarget = { ...target, bytes: target.bytes + 2 * documents, deltas: layers };
  return { deltaBase, deltaTarget, delta: { ...deltaTarget, tag: "delta" } };
}

/** The lowest layer is common; of the largest a few files and some bytes of a large one are new; the last has moved content. */
async function versions(bytes: number, seed: number): Promise<[Version, Version]> {
  const rng = createRng(seed + 99);
  const software = realFiles(bytes, bytes * 12);
  const model = rng.bytes(Math.round(bytes * 0.5));
  const [moved, own] = [rng.bytes(60_000), rng.bytes(20_000)];
  const half = model.length >> 1;
  const changed = Buffer.concat([model.subarray(0, half), rng.bytes(Math.round(bytes * 0.15)), model.subarray(half)]);
  const common = await layerOf([directory("etc"), file("etc/common", rng.bytes(30_000))], "gzip");
  const large = (isNew: boolean): TreeNode[] => [
    ...software.map((node, at) =>
      isNew && at % 40 === 7 && node.type === "file"
        ? file(node.path, Buffer.concat([node.content!, Buffer.from("changed\n")]))
        : node,
    ),
    directory("srv"),
    file("srv/model.bin", isNew ? changed : model),
    hardlink("srv/model.link", "srv/model.bin"),
    ...(isNew ? [] : [file("srv/moved", moved)]),
  ];
  const version = async (isNew: boolean): Promise<Version> => {
    const top = [directory("srv"), file("srv/own", own), ...(isNew ? [file("srv/moved", moved)] : [])];
    const layers = [common, await layerOf(large(isNew), "gzip"), await layerOf(top, "zstd")];
    return [await buildImage({ layers }), layers.map(({ members }) => members)];
  };
  return [await version(false), await version(true)];
}

type Version = [image: KitImage, members: readonly (readonly TreeNode[])[]];
