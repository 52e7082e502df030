/** A tag that is pushed anew, with a layer of zstd:chunked of which most is as it was: what machines that have the old one make of pieces. */
import { buildImage } from "../../kit/images/build-image.ts";
import { chunkedLayer } from "../../kit/images/chunked-layer.ts";
import { createRng } from "../../kit/images/rng.ts";
import { directory, file, hardlink, type TreeNode } from "../../kit/trees/tree-node.ts";
import { publish, type PublishedImage } from "./published-image.ts";
import { layerOf, realFiles } from "./real-image.ts";

export interface UpdateImages {
  readonly old: PublishedImage;
  readonly update: PublishedImage;
}

/**
 * @param repository of both, as tags `old` and `new`
 * @param bytes about how many the large layer of each has, compressed
 */
export async function publishUpdate(
  host: string,
  repository: string,
  bytes: number,
  seed: number,
): Promise<UpdateImages> {
  const rng = createRng(seed + 77);
  const software = realFiles(bytes, bytes * 8);
  const model = rng.bytes(Math.round(bytes * 0.5));
  const news = rng.bytes(Math.round(bytes * 0.4));
  const half = model.length >> 1;
  const changed = Buffer.concat([model.subarray(0, half), news.subarray(0, 1000), model.subarray(half)]);
  const layer = (isNew: boolean): TreeNode[] => [
    ...software.map((node, at) =>
      isNew && at % 40 === 7 && node.type === "file"
        ? file(node.path, Buffer.concat([node.content!, Buffer.from("changed\n")]))
        : node,
    ),
    directory("srv"),
    file("srv/model.bin", isNew ? changed : model),
    file("srv/zeros", new Uint8Array(200_000)),
    hardlink("srv/model.link", "srv/model.bin"),
    ...(isNew ? [file("srv/new", news)] : []),
  ];
  const top = await layerOf([file("srv/own", rng.bytes(20_000))], "gzip");
  const publishVersion = async (tag: string, members: readonly TreeNode[]): Promise<PublishedImage> => {
    const image = await buildImage({ layers: [await chunkedLayer(members), top] });
    return publish(host, repository, tag, image, [members, top.members]);
  };
  return { old: await publishVersion("old", layer(false)), update: await publishVersion("new", layer(true)) };
}
