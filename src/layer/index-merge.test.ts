/** Which layers can be bound by their metadata alone and which have to be replayed, case by case; what comes of them is `LayerApplier`'s. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { compareAppliers } from "../../test/kit/layer/compare-appliers.ts";
import { buildAlone, buildOnto, noLayers, readBack } from "../../test/kit/layer/index-layers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import {
  device,
  directory,
  file,
  hardlink,
  opaque,
  symlink,
  whiteout,
  type TreeNode,
} from "../../test/kit/trees/tree-node.ts";
import { IndexBuilder } from "./index-builder.ts";
import { mergeLayer } from "./index-merge.ts";

const asRoot = process.getuid?.() === 0;

const lower = [
  directory("", { mode: 0o711, mtime: 5n }),
  directory("tmp", { mode: 0o1777, gid: 7, mtime: 6n, xattrs: { "user.a": Buffer.from("x") } }),
  directory("usr"),
  directory("usr/lib", { mode: 0o2775, gid: 3 }),
  file("usr/lib/old", "old"),
  file("usr/lib/kept", "kept"),
  symlink("lib", "usr/lib"),
  file("f", "a file"),
  hardlink("g", "f"),
];

type Case = readonly [what: string, layer: TreeNode[]];

const merged: Case[] = [
  ["a directory without an entry keeps what the lower one has", [file("tmp/x", "x")]],
  ["a directory that no layer describes is made", [file("new/deep/x", "x")]],
  ["a directory's entry replaces what the lower one has", [directory("tmp", { mode: 0o700 })]],
  ["whiteouts, before and after what takes the place", [whiteout("f"), file("f", "1"), file("g", "2"), whiteout("g")]],
  ["a whiteout of what is not there", [whiteout("none"), whiteout("not/there/x"), opaque("nor/there")]],
  ["a directory hidden and made again", [whiteout("usr"), directory("usr"), file("usr/x")]],
  ["a directory hidden and taken for granted again", [whiteout("usr"), file("usr/lib/x")]],
  [
    "a directory with an entry, hidden after that",
    [directory("usr"), directory("usr/lib"), file("usr/lib/n"), whiteout("usr")],
  ],
  ["opaque before what is in it", [directory("usr/lib"), opaque("usr/lib"), file("usr/lib/n", "n")]],
  ["opaque after what is in it", [directory("usr/lib"), file("usr/lib/n", "n"), opaque("usr/lib")]],
  ["opaque without an entry", [opaque("usr/lib"), file("usr/lib/n", "n")]],
  ["everything hidden", [opaque(""), file("x")]],
  ["a file becomes a directory and back", [directory("f"), file("f/x"), file("f", "again")]],
  [
    "a directory becomes a file and again a directory",
    [directory("usr"), file("usr"), directory("usr"), file("usr/x")],
  ],
  ["a link to a directory becomes a directory", [directory("lib"), file("lib/x", "x")]],
  ["links of the layer lead to its own files", [file("a", "a"), hardlink("b", "a"), symlink("s", "tmp"), file("s/x")]],
  ["a link of the layer leads where only lower layers are", [symlink("s", "usr/lib"), file("s/x", "x")]],
  ["the root is described last", [file("x"), directory("", { mode: 0o700 })]],
  ["odd names", [file("./a/../tmp/x", "1"), file("/tmp//y", "2"), file("../../tmp/z", "3")]],
];

const replayed: Case[] = [
  ["a parent is a link below", [file("lib/x", "x")]],
  ["a whiteout's parent is a link below", [whiteout("lib/old")]],
  ["a whiteout's parent is a file below", [whiteout("f/x")]],
  ["a parent is a file below: an error", [file("f/x", "x")]],
  ["a hard link leads to a lower file", [hardlink("h", "usr/lib/old", { mode: 0o600 })]],
  ["a hard link leads nowhere: an error", [hardlink("h", "none")]],
  ["a directory is implied before its entry", [file("lib/x", "x"), directory("lib")]],
  ["a directory is implied and then replaced", [file("lib/x", "x"), file("lib", "y")]],
  ["a directory is implied and then hidden", [file("lib/x", "x"), whiteout("lib")]],
  ["a whiteout in what is then hidden", [whiteout("lib/old"), whiteout("lib")]],
  ["an implied directory in what is then opaque", [directory("usr"), file("usr/lib/x"), opaque("usr")]],
  ["a link leads through what is missing", [symlink("s", "lib/../x"), directory("x"), file("s/y")]],
  ["a member lies under a file of the layer: an error", [file("x"), file("x/y")]],
  ["links lead in circles: an error", [symlink("x", "y"), symlink("y", "x"), file("x/z")]],
  ["a device is left out of an implied directory", [device("new/null", "char", 0, 0)]],
  ["nobody can own it", [directory("usr/lib", { uid: 0xffff_ffff })]],
];

describe.skipIf(!asRoot)("a layer over others (needs root)", () => {
  it.each([
    ...merged.map((one) => [one[0], false, one] as const),
    ...replayed.map((one) => [one[0], true, one] as const),
  ])("%s (replayed: %s)", async (_, replay, [, layer]) => {
    await using dir = await tempDir();
    const tars = [lower, layer].map((nodes) => packTree(nodes));
    const { differences, bound, failure } = await compareAppliers(join(dir.path, "tree"), tars);
    expect(differences).toEqual([]);
    expect({ replay: failure !== undefined || bound[1] !== undefined }).toEqual({ replay });
  });
});

describe("an index of one layer", () => {
  it("is an overlay's layer: whiteouts, opaque directories, and what it takes for granted", () => {
    const { built } = buildAlone(packTree([whiteout("d/gone"), opaque("e"), file("d/x"), directory("e")]));
    expect(built.open).toEqual({ implied: [], replay: expect.stringContaining("e") });
    const { built: good } = buildAlone(packTree([whiteout("d/gone"), directory("e"), opaque("e"), file("d/x")]));
    expect(good.open).toEqual({ implied: ["", "d"], replay: undefined });
    const { children } = readBack(good.tree).root;
    expect(children?.get("d")?.children?.get("gone")).toMatchObject({ type: "char", deviceMajor: 0, deviceMinor: 0 });
    expect(children?.get("e")?.xattrs?.get("trusted.overlay.opaque")).toEqual(Uint8Array.of(0x79));
    expect(children?.get("d")?.xattrs?.has("trusted.overlay.origin")).toBe(true);
  });

  it("changes nothing below when it has to be replayed", () => {
    const parent = buildOnto(noLayers(), packTree(lower));
    const before = structuredClone(parent.tree);
    const layer = buildAlone(packTree([whiteout("usr"), file("new", "x"), file("lib/x", "x")]));
    expect(mergeLayer(parent.tree, layer.tree, layer.built.open)).toHaveProperty("replay");
    expect(parent.tree).toEqual(before);
  });

  it("is turned down when it lists a directory that it does not have", () => {
    const { tree } = buildAlone(packTree([file("x")]));
    const merge = (): unknown => mergeLayer(noLayers().tree, tree, { implied: ["x"], replay: undefined });
    expect(merge).toThrow(expect.objectContaining({ code: "INDEX_INVALID" }));
  });

  it("takes bounded memory, and so does a stack of them", () => {
    const entry = { ...packedEntry(), xattrs: new Map([["user.a", new Uint8Array(50_000)]]) };
    const many = (builder: IndexBuilder, prefix: string): void => {
      for (let n = 0; n < 100; n++) builder.entry({ ...entry, name: `${prefix}${n}` });
    };
    const limit = (code: string): unknown => expect.objectContaining({ code });
    expect(() => many(new IndexBuilder({ limits: { indexBytes: 1_000_000 } }), "")).toThrow(limit("LAYER_LIMIT"));
    const [one, other] = ["a", "b"].map((prefix) => {
      const builder = new IndexBuilder();
      many(builder, prefix);
      return builder.finish(0, "").tree;
    });
    if (one === undefined || other === undefined) throw new Error("no trees");
    const open = { implied: [""], replay: undefined };
    expect(() => mergeLayer(one, other, open, { indexNames: 150 })).toThrow(limit("LAYER_LIMIT"));
    expect(() => many(new IndexBuilder({ onto: one, limits: { indexNames: 150 } }), "b")).toThrow(limit("LAYER_LIMIT"));
  });
});

function packedEntry() {
  return {
    type: "file" as const,
    name: "",
    linkName: "",
    mode: 0o644,
    uid: 0,
    gid: 0,
    userName: "",
    groupName: "",
    storedSize: 0,
    size: 0,
    modifiedAt: { seconds: 0, nanoseconds: 0 },
    accessedAt: undefined,
    deviceMajor: 0,
    deviceMinor: 0,
    sparse: undefined,
    changedAt: undefined,
    typeFlag: 0x30,
    stated: undefined,
  };
}
