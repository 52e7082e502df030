/** An image's layers that are the same in every process, with their ChainIDs; each changes what the ones below have. */
import { chainIds } from "../../../src/oci/chain-id.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { OpenTar } from "../../../src/snapshot/types.ts";
import { packTree } from "../images/pack-tree.ts";
import { piecesOf } from "../layer/apply-all.ts";
import { directory, file, hardlink, whiteout, type TreeNode } from "../trees/tree-node.ts";

export interface LayerOfImage {
  readonly tar: Uint8Array;
  readonly diffId: Digest;
  readonly chainId: Digest;
  readonly open: OpenTar;
}

/** @param seed images of different seeds share their lowest layer only */
export function layeredImage(count: number, seed = 0): LayerOfImage[] {
  const tars = Array.from({ length: count }, (_, index) => packTree(index === 0 ? BASE : change(index, seed)));
  const diffIds = tars.map((tar) => digestOf(tar));
  const chain = chainIds(diffIds);
  return tars.map((tar, index) => ({
    tar,
    diffId: diffIds[index]!,
    chainId: chain[index]!,
    open: () => Promise.resolve(piecesOf(tar)),
  }));
}

const BASE: readonly TreeNode[] = [
  directory("etc"),
  file("etc/hosts", "127.0.0.1 localhost\n"),
  hardlink("etc/hosts.link", "etc/hosts"),
  directory("data", { mode: 0o750, uid: 5, gid: 6 }),
  file("data/0", "the first"),
];

function change(index: number, seed: number): TreeNode[] {
  return [
    file("etc/hosts", `changed by ${index} of ${seed}`),
    file(`data/${index}`, `added by ${index} of ${seed}`, { mode: 0o600 }),
    whiteout(`data/${index - 1}`),
  ];
}
