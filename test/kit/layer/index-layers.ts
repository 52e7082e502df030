/** Layers applied to trees in memory, without any file: alone, onto others, merged; and such a tree as a directory would read back. */
import { createHash } from "node:crypto";
import { readErofs } from "../../../src/codec/erofs/reader.ts";
import type { IndexNode, IndexTree } from "../../../src/codec/erofs/tree.ts";
import { encodeErofs } from "../../../src/codec/erofs/writer.ts";
import { TarParser } from "../../../src/codec/tar/parser.ts";
import { IndexBuilder, type BuiltIndex } from "../../../src/layer/index-builder.ts";
import { mergeLayer } from "../../../src/layer/index-merge.ts";
import { emptyIndex } from "../../../src/layer/index-tree.ts";
import { encodeName } from "../../../src/sys/path-bytes.ts";
import { packTree } from "../images/pack-tree.ts";
import type { TreeEntry } from "../trees/read-tree.ts";
import type { TreeNode } from "../trees/tree-node.ts";

/** What files lie on, by number. */
export type Devices = readonly Uint8Array[];

export interface KitIndex {
  readonly tree: IndexTree;
  readonly devices: Devices;
}

export const noLayers = (): KitIndex => ({ tree: emptyIndex(), devices: [] });

/** The layer with its own devices: the tar, and the extra file if it has any bytes. */
export function buildAlone(tar: Uint8Array): KitIndex & { readonly built: BuiltIndex } {
  const built = build(tar);
  return { tree: built.built.tree, ...built };
}

/** The layer applied to a tree, which is used up. */
export function buildOnto({ tree, devices }: KitIndex, tar: Uint8Array): KitIndex {
  const layer = build(tar, tree);
  return { tree: layer.built.tree, devices: [...devices, ...layer.devices] };
}

/**
 * The layer merged over others, which are used up, or applied to them where it has to be.
 * @param through the layer's index is written and read back before
 */
export function bindAlone(
  parent: KitIndex,
  tar: Uint8Array,
  { through = false }: { readonly through?: boolean } = {},
): KitIndex & { readonly replay: string | undefined } {
  const layer = buildAlone(tar);
  const tree = through ? readBack(layer.tree) : layer.tree;
  const merged = mergeLayer(parent.tree, tree, layer.built.open);
  if ("replay" in merged) return { ...buildOnto(parent, tar), replay: merged.replay };
  return { tree: merged.tree, devices: [...parent.devices, ...layer.devices], replay: undefined };
}

export function readBack(tree: IndexTree): IndexTree {
  return readErofs(Buffer.concat([...encodeErofs(tree, { uuid: new Uint8Array(16) })]));
}

function build(tar: Uint8Array, onto?: IndexTree): { readonly built: BuiltIndex; readonly devices: Devices } {
  const sparse: [position: number, bytes: Buffer][] = [];
  const extra = { write: (bytes: Uint8Array, position: number) => void sparse.push([position, Buffer.from(bytes)]) };
  const builder = new IndexBuilder({ extra, ...(onto !== undefined && { onto }) });
  const parser = new TarParser(builder);
  parser.write(tar);
  parser.end();
  const built = builder.finish(tar.byteLength, "kit");
  if (built.extraSize === 0) return { built, devices: [tar] };
  const device = Buffer.alloc(built.extraSize);
  for (const [position, bytes] of sparse) device.set(bytes, position);
  for (const { from, size, to } of built.copies) device.set(tar.subarray(from, from + size), to);
  return { built, devices: [tar, device] };
}

/** The tree as `readTree` would read it back from a directory. */
export function listIndex({ tree, devices }: KitIndex): TreeEntry[] {
  const found: [path: string, node: IndexNode][] = [];
  collect("", tree.root, found);
  found.sort(([a], [b]) => Buffer.compare(encodeName(a), encodeName(b)));
  const names = Map.groupBy(found, ([, node]) => node);
  return found.map(([path, node]) => {
    const all = names.get(node) ?? [];
    return entryOf(path, node, devices, all.length > 1 ? all[0]?.[0] : undefined);
  });
}

function collect(path: string, node: IndexNode, found: [string, IndexNode][]): void {
  found.push([path, node]);
  for (const [name, child] of node.children ?? []) collect(path === "" ? name : `${path}/${name}`, child, found);
}

function entryOf(path: string, node: IndexNode, devices: Devices, linkedTo: string | undefined): TreeEntry {
  const { type, mode, uid, gid, modifiedAt, target } = node;
  const xattrs = [...(node.xattrs ?? [])].map(([name, value]) => [name, Buffer.from(value).toString("hex")] as const);
  return {
    path,
    type,
    mode,
    uid,
    gid,
    size: type === "file" ? node.size : 0,
    ...(type === "file" && { sha256: createHash("sha256").update(contentOf(node, devices)).digest("hex") }),
    ...(target !== undefined && { target }),
    ...(linkedTo !== undefined && { linkedTo }),
    mtime: BigInt(modifiedAt.seconds) * 1_000_000_000n + BigInt(modifiedAt.nanoseconds),
    xattrs: Object.fromEntries(xattrs.sort(([a], [b]) => (a < b ? -1 : 1))),
    ...((type === "char" || type === "block") && { major: node.deviceMajor, minor: node.deviceMinor }),
  };
}

/** As the kernel reads it: whole blocks of the device, of which the last must be there and end in zeros. */
function contentOf({ size, place }: IndexNode, devices: Devices): Uint8Array {
  if (place === undefined) return new Uint8Array(size);
  const device = devices[place.device];
  const end = place.offset + Math.ceil(size / 512) * 512;
  if (device === undefined || place.offset % 512 !== 0 || end > device.byteLength) throw new Error("no such place");
  if (device.subarray(place.offset + size, end).some((byte) => byte !== 0)) throw new Error("a pad is not of zeros");
  return device.subarray(place.offset, place.offset + size);
}

/** The layers without the members that cannot be applied, so that stacks get far. */
export function withoutInvalid(layers: readonly (readonly TreeNode[])[]): TreeNode[][] {
  const valid: TreeNode[][] = [];
  for (const layer of layers) {
    let nodes = [...layer];
    for (let at = firstInvalid(valid, nodes); at >= 0; at = firstInvalid(valid, nodes)) nodes = nodes.toSpliced(at, 1);
    valid.push(nodes);
  }
  return valid;
}

function firstInvalid(lower: readonly (readonly TreeNode[])[], nodes: readonly TreeNode[]): number {
  const parent = lower.reduce((index, layer) => buildOnto(index, packTree(layer)), noLayers());
  const builder = new IndexBuilder({ onto: parent.tree });
  const parser = new TarParser(builder);
  try {
    parser.write(packTree(nodes));
  } catch {
    return parser.entries - 1;
  }
  return -1;
}
