/** Index trees at random, as wild as the format allows, without any bytes behind them. */
import type { Rng } from "../images/rng.ts";
import type { IndexNode, IndexTree, IndexType } from "../../../src/codec/erofs/tree.ts";
import { indexNode } from "./tree-of-tar.ts";

const BLOCK = 512;
const DEVICE_BYTES = 1024 * BLOCK;
const LEAVES: readonly IndexType[] = ["file", "file", "file", "symlink", "char", "block", "fifo", "socket"];
const NAMES = ["a", "!", "-x", ".hidden", "..b", "ü", "\udc80", "\udcff\udcfe", "🦦", "\uffff", "n".repeat(240)];
const XATTRS = ["user.a", "user.ü", "trusted.overlay.origin", "security.kit", "system.posix_acl_default"];
// Not `security.capability`: the kernel shows no value of it that it does not understand.
const SIZES = [0, 1, 511, 512, 513, 1024, 5000];

export interface RandomIndexOptions {
  /** Names, about. Default 60. */
  readonly size?: number;
  /** Default 3. */
  readonly devices?: number;
}

export function randomIndex(rng: Rng, options: RandomIndexOptions = {}): IndexTree {
  const { size = 60, devices = 3 } = options;
  const time = { seconds: 1_700_000_000, nanoseconds: 0 };
  const common = (): Partial<IndexNode> => ({
    mode: rng.int(0o10000),
    ...(rng.chance(0.3) && { uid: rng.int(2 ** 32), gid: rng.int(70_000) }),
    modifiedAt: rng.chance(0.5) ? time : { seconds: rng.int(2 ** 34) - 2 ** 33, nanoseconds: rng.int(1e9) },
    xattrs: rng.chance(0.2) ? randomXattrs(rng) : undefined,
  });
  const root = indexNode("directory", common());
  const directories = [root];
  const linkable: IndexNode[] = [];
  for (let count = 0; count < size; count++) {
    const children = rng.pick(directories).children ?? new Map<string, IndexNode>();
    const name = `${rng.pick(NAMES)}${rng.chance(0.9) ? count : ""}`;
    if (children.has(name)) continue;
    if (rng.chance(0.2)) {
      const directory = indexNode("directory", common());
      directories.push(directory);
      children.set(name, directory);
    } else if (linkable.length > 0 && rng.chance(0.1)) {
      children.set(name, rng.pick(linkable));
    } else {
      const leaf = randomLeaf(rng, common(), devices);
      linkable.push(leaf);
      children.set(name, leaf);
    }
  }
  const slots = Array.from({ length: devices }, (_, number) => ({ size: DEVICE_BYTES, tag: `device ${number}` }));
  return { root, devices: slots };
}

function randomLeaf(rng: Rng, common: Partial<IndexNode>, devices: number): IndexNode {
  const type = rng.pick(LEAVES);
  if (type === "file") {
    const size = rng.chance(0.1) ? rng.int(2 ** 44) : rng.pick(SIZES);
    const fits = size > 0 && size <= 5000 && devices > 0 && rng.chance(0.9);
    const place = fits ? { device: rng.int(devices), offset: rng.int(1000) * BLOCK } : undefined;
    return indexNode("file", { ...common, size, place });
  }
  if (type === "symlink") {
    const target = rng.chance(0.1) ? "t".repeat(1 + rng.int(4095)) : `../${rng.pick(NAMES)}`;
    return indexNode("symlink", { ...common, target, size: Buffer.byteLength(target) });
  }
  const isDevice = type === "char" || type === "block";
  return indexNode(type, { ...common, ...(isDevice && { deviceMajor: rng.int(4096), deviceMinor: rng.int(2 ** 20) }) });
}

function randomXattrs(rng: Rng): Map<string, Uint8Array> {
  const count = 1 + rng.int(4);
  const length = () => (rng.chance(0.1) ? rng.int(3000) : rng.int(40));
  return new Map(Array.from({ length: count }, () => [rng.pick(XATTRS), new Uint8Array(rng.bytes(length()))]));
}
