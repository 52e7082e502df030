/**
 * Stacks of layers as no tool makes them: parents without entries, whiteouts in any order, types that change, links through links, names
 * that lead astray. What they come to depends on every rule of applying layers, so there is no model but an applier; they are for
 * holding appliers to each other. Few names are used, so that members meet.
 */
import type { Rng } from "../images/rng.ts";
import { device, directory, fifo, file, hardlink, opaque, symlink, whiteout, type TreeNode } from "./tree-node.ts";

export interface WildLayersOptions {
  /** Default 2 ... 6. */
  readonly layers?: number;
  /** Members of a layer at most. Default 12. */
  readonly members?: number;
  /** How many members name their target or place in odd ways, 0 ... 1. Default 0.1. */
  readonly odd?: number;
}

const NAMES = ["a", "b", "c", "lib", "l"];
const ACL = Buffer.from(
  "0200000001000700ffffffff04000500ffffffff080007000700000010000700ffffffff20000000ffffffff",
  "hex",
);
const CAPABILITY = Buffer.from("0100000200040000000000000000000000000000", "hex");

/** @returns layers from the lowest up */
export function wildLayers(rng: Rng, options: WildLayersOptions = {}): TreeNode[][] {
  const { layers = rng.between(2, 6), members = 12, odd = 0.1 } = options;
  const known: string[] = [];
  return Array.from({ length: layers }, (_, index) => {
    const tidy = rng.chance(0.3);
    const nodes: TreeNode[] = [];
    if (rng.chance(0.15)) nodes.push(directory("", { mode: rng.pick([0o755, 0o2775, 0o700]), gid: 9, ...times(rng) }));
    for (let count = rng.int(members); count >= 0; count--) {
      const node = member(rng, known, odd, index);
      if (tidy) for (const path of ancestors(node.path)) nodes.push(directory(path, metadata(rng)));
      nodes.push(node);
      if (node.type === "file" || node.type === "symlink") known.push(node.path);
    }
    return nodes;
  });
}

function member(rng: Rng, known: readonly string[], odd: number, layer: number): TreeNode {
  const path = rng.chance(odd) ? oddPath(rng) : plainPath(rng);
  const kind = rng.int(100);
  if (kind < 28) return file(path, rng.text(rng.int(1200)), { ...metadata(rng), ...fileXattrs(rng) });
  if (kind < 48) return directory(path, { ...metadata(rng), ...directoryXattrs(rng) });
  if (kind < 60) return symlink(path, target(rng), metadata(rng));
  if (kind < 70 && known.length > 0) return hardlink(path, rng.pick(known), { ...metadata(rng), ...fileXattrs(rng) });
  if (kind < 82) return whiteout(path);
  if (kind < 89) return opaque(rng.chance(0.1) ? "" : path);
  if (kind < 93) return rng.chance(0.5) ? fifo(path, metadata(rng)) : device(path, "block", 7, layer, metadata(rng));
  if (kind < 94) return device(path, "char", rng.pick([0, 1, 1, 5000]), 0);
  if (kind < 96) return hardlink(path, plainPath(rng));
  return file(path, "x", metadata(rng));
}

function plainPath(rng: Rng): string {
  const depth = rng.pick([1, 1, 2, 2, 2, 3, 3, 4]);
  return Array.from({ length: depth }, () => rng.pick(NAMES)).join("/");
}

function oddPath(rng: Rng): string {
  const path = plainPath(rng);
  switch (rng.int(6)) {
    case 0:
      return `./${path}`;
    case 1:
      return `/${path}`;
    case 2:
      return `${rng.pick(NAMES)}/../${path}`;
    case 3:
      return `${rng.pick(NAMES)}//./${path}`;
    case 4:
      return `../${path}`;
    default:
      return rng.chance(0.1) ? `${"n".repeat(rng.between(250, 260))}/${path}` : `.wh..wh.plnk/${path}`;
  }
}

function target(rng: Rng): string {
  const path = plainPath(rng);
  switch (rng.int(8)) {
    case 0:
      return `/${path}`;
    case 1:
      return `../${path}`;
    case 2:
      return `${rng.pick(NAMES)}/../${path}`;
    case 3:
      return rng.pick([".", "..", "/", "a/..", "missing/../b"]);
    default:
      return path;
  }
}

const metadata = (rng: Rng): Partial<TreeNode> => ({
  mode: rng.pick([0o755, 0o755, 0o700, 0o644, 0o000, 0o2775, 0o4711, 0o1777, 0o6755]),
  ...(rng.chance(0.4) && { uid: rng.int(4), gid: rng.int(4) }),
  ...(rng.chance(0.003) && { uid: 0xffff_ffff }),
  ...times(rng),
});

const times = (rng: Rng): Partial<TreeNode> =>
  rng.chance(0.9) ? { mtime: BigInt(rng.int(1000)) * 1_000_000_007n } : { mtime: rng.pick([-1n, 2n ** 63n]) };

function fileXattrs(rng: Rng): Partial<TreeNode> {
  if (rng.chance(0.8)) return {};
  const choices: Record<string, Uint8Array>[] = [
    { "user.a": rng.bytes(3) },
    { "user.b": rng.bytes(2), "trusted.x": rng.bytes(1) },
    { "security.capability": CAPABILITY },
    { "security.selinux": rng.bytes(2) },
    { "user.overlay.opaque": rng.bytes(1), "unknown.x": rng.bytes(1) },
    { "system.posix_acl_access": ACL },
  ];
  return { xattrs: rng.pick(choices) };
}

function directoryXattrs(rng: Rng): Partial<TreeNode> {
  if (rng.chance(0.8)) return {};
  const choices: Record<string, Uint8Array>[] = [
    { "user.a": rng.bytes(3) },
    { "security.selinux": rng.bytes(2) },
    { "security.selinux": rng.bytes(2), "user.a": rng.bytes(1) },
    { "system.posix_acl_default": ACL },
    { "system.posix_acl_access": ACL, "user.b": rng.bytes(1) },
  ];
  return { xattrs: rng.pick(choices) };
}

function ancestors(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}
