/**
 * Layers as no builder makes them: few names, each used again and again as one thing and another, in any order, through links of this
 * layer and of lower ones. Many of them are faulty. Every member differs from every other, so that nothing is right by chance.
 */
import type { Rng } from "../images/rng.ts";
import { device, directory, fifo, file, hardlink, opaque, symlink, whiteout, type TreeNode } from "./tree-node.ts";

export interface HostileLayerOptions {
  /** Members. Default 8. */
  readonly size?: number;
  /** Owners other than 0. Default true. */
  readonly owners?: boolean;
}

const NAMES = ["a", "b", "c"];

export function hostileLayer(rng: Rng, { size = 8, owners = true }: HostileLayerOptions = {}): TreeNode[] {
  return Array.from({ length: rng.between(1, size) }, () => randomMember(rng, owners));
}

function randomMember(rng: Rng, owners: boolean): TreeNode {
  const path = randomPath(rng);
  const common = {
    mode: rng.pick([0o755, 0o700, 0o1777, 0o2751, 0o640]),
    mtime: BigInt(rng.int(1_000_000_000)) * 1_000_000_007n,
    ...(owners && { uid: rng.int(5), gid: rng.int(5) }),
    ...(rng.chance(0.2) && { xattrs: { [`user.${rng.pick(NAMES)}`]: rng.bytes(4) } }),
  };
  const plain = { mtime: common.mtime };
  const kind = rng.int(25);
  if (kind < 7) return file(path, rng.text(rng.int(20)), common);
  if (kind < 13) return directory(rng.chance(0.1) ? "" : path, common);
  if (kind < 16) return symlink(path, randomTarget(rng), plain);
  if (kind < 18) return hardlink(path, randomPath(rng), rng.chance(0.5) ? common : plain);
  if (kind < 21) return whiteout(path);
  if (kind < 23) return opaque(rng.chance(0.15) ? "" : path);
  return kind === 23 ? fifo(path, plain) : device(path, "char", 0, 0, plain);
}

function randomPath(rng: Rng): string {
  return Array.from({ length: rng.between(1, 3) }, () => rng.pick(NAMES)).join("/");
}

function randomTarget(rng: Rng): string {
  const path = randomPath(rng);
  return rng.pick([path, path, `/${path}`, `../${path}`, `${rng.pick(NAMES)}/../${path}`, "..", "."]);
}
