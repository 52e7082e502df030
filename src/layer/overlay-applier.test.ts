import { lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyAll, piecesOf } from "../../test/kit/layer/apply-all.ts";
import { bindLayers, canMountOverlays, readMerged, type BoundLayer } from "../../test/kit/layer/overlay-layers.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { readTree, type TreeEntry } from "../../test/kit/trees/read-tree.ts";
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
import { digestOf } from "../oci/digest.ts";
import { withoutFfi } from "../sys/libc.ts";
import { xattrCalls } from "../sys/xattr.ts";
import type { UnpackedLayer } from "./layer-target.ts";
import { unpackOverlay, type UnpackOverlayOptions } from "./unpack-overlay.ts";

const OLD = [
  directory("foo", { mode: 0o1700, uid: 3, mtime: 77n }),
  file("foo/old", "12"),
  directory("foo/sub", { gid: 5, mtime: 78n }),
  file("foo/sub/old", "12"),
  symlink("link", "foo"),
];

interface Compared {
  readonly seen: readonly TreeEntry[];
  /** The layer on top. */
  readonly top: BoundLayer;
}

/** Holds what a mount of the layers shows to what applying them in turn gives. */
async function compare(
  layers: readonly TreeNode[][],
  userXattr: boolean,
  look: (compared: Compared) => void = () => {},
): Promise<void> {
  await using dir = await tempDir();
  const flat = join(dir.path, "flat");
  mkdirSync(flat);
  await applyAll(flat, layers);
  const bound = await bindLayers(dir.path, layers, { userXattr });
  const seen = await readMerged(bound, { userXattr });
  expect(diffTrees(seen, await readTree(flat))).toEqual([]);
  const [top] = bound;
  if (top !== undefined) look({ seen, top });
}

async function unpack(directoryPath: string, layer: readonly TreeNode[], userXattr = false): Promise<UnpackedLayer> {
  return unpackTar(directoryPath, packTree(layer), userXattr);
}

function unpackTar(
  directoryPath: string,
  tar: Uint8Array,
  userXattr = false,
  options: UnpackOverlayOptions = {},
): Promise<UnpackedLayer> {
  return unpackOverlay(piecesOf(tar), { form: "overlay", directory: directoryPath, userXattr }, options);
}

const openOf = async (layer: readonly TreeNode[]): Promise<UnpackedLayer["open"]> => {
  await using dir = await tempDir();
  return (await unpack(dir.path, layer)).open;
};

describe.skipIf(!canMountOverlays).each([{ userXattr: false }, { userXattr: true }])(
  "what a layer hides (needs overlay mounts), userXattr $userXattr",
  ({ userXattr }) => {
    it.each<[string, TreeNode[]]>([
      ["a deletion, then a file", [whiteout("foo"), file("foo", "1")]],
      ["a file, then a deletion", [file("foo", "1"), whiteout("foo")]],
      ["a deletion, then a directory", [whiteout("foo"), directory("foo"), file("foo/new", "1")]],
      ["a deletion, then an implied directory", [whiteout("foo"), file("foo/sub/new", "1")]],
      ["a directory, then a deletion", [directory("foo"), file("foo/new", "1"), whiteout("foo")]],
      ["a file, then a directory", [file("foo"), directory("foo"), file("foo/new", "1")]],
      ["a link, then a directory", [symlink("foo", "x"), directory("foo"), file("foo/new", "1")]],
      ["a directory, a file, a directory", [directory("foo"), file("foo"), directory("foo")]],
      ["an opaque mark first", [opaque("foo"), file("foo/sub/new", "1"), file("foo/new", "1")]],
      ["an opaque mark last", [directory("foo"), directory("foo/sub"), file("foo/sub/new"), opaque("foo")]],
      ["an opaque mark over deletions", [directory("foo"), whiteout("foo/old"), whiteout("foo/x"), opaque("foo")]],
      ["an opaque mark, then a deletion", [opaque("foo"), whiteout("foo/old"), file("foo/a")]],
      ["an opaque mark in one that is opaque", [opaque("foo"), directory("foo/sub"), opaque("foo/sub")]],
      ["an opaque directory that comes again", [directory("foo"), opaque("foo"), directory("foo", { mode: 0o711 })]],
      ["an opaque root", [directory("foo"), opaque(""), file("foo/sub/new", "1"), directory("new")]],
      ["an opaque root first", [opaque(""), directory("foo"), file("foo/new", "1"), file("link")]],
      ["deletions of nothing", [whiteout("x/y/z"), opaque("v/w"), whiteout("foo/none"), whiteout("none")]],
      ["a deletion in an otherwise new directory", [directory("new"), whiteout("new/none"), file("new/x")]],
      ["a deletion through the layer's own link", [symlink("to", "foo"), whiteout("to/old")]],
      ["a deletion twice", [whiteout("foo"), whiteout("foo")]],
      ["a device of overlayfs", [device("foo", "char", 0, 0), directory("new"), device("new/d", "char", 0, 0)]],
      ["content beside what is there", [file("foo/sub/new", "1")]],
    ])("%s", async (_, layer) => {
      await compare([OLD, layer], userXattr, ({ top }) => expect(top.replayed).toBeUndefined());
      // The same as the lowest layer and as one of which nothing below is left.
      await compare([layer], userXattr);
      await compare([OLD, [whiteout("foo"), whiteout("link")], layer], userXattr);
    });

    it.each<[string, TreeNode[]]>([
      ["a hard link to a file of a lower layer", [hardlink("new", "foo/old", { mode: 0o600 })]],
      ["content through a link of a lower layer", [file("link/sub/new", "1")]],
      ["a deletion through a link of a lower layer", [whiteout("link/old")]],
      ["a directory described after its content", [file("foo/new"), directory("foo", { mode: 0o711 })]],
      ["an opaque mark before the entry of its directory", [opaque("foo"), directory("foo"), file("foo/new")]],
      ["a directory replaced after its content", [file("link/new"), symlink("link", "elsewhere")]],
      ["a directory deleted after its content", [file("foo/sub/new", "1"), whiteout("foo")]],
      ["a directory hidden after its content", [file("foo/sub/new", "1"), opaque("foo")]],
      ["a link through a name that it has not", [symlink("to", "link/../foo"), file("to/new")]],
      ["a deletion below a file of a lower layer", [whiteout("foo/old/x")]],
      ["nothing made where nothing is", [device("new/d", "char", 0, 0)]],
    ])("%s, for which the layer is applied again", async (_, layer) => {
      await compare([OLD, layer], userXattr, ({ top }) => expect(top.replayed).toBeDefined());
    });

    it("a member below a file of a lower layer is refused when the layer is bound, not before", async () => {
      await using dir = await tempDir();
      await expect(bindLayers(dir.path, [OLD, [file("foo/old/x")]], { userXattr })).rejects.toMatchObject({
        code: "LAYER_INVALID",
      });
      expect((await openOf([file("foo/old/x")])).replay).toBeUndefined();
    });
  },
);

describe.skipIf(!canMountOverlays)("on disk (needs overlay mounts)", () => {
  it("a deletion is a character device 0:0 of root, an opaque directory has the attribute of its form", async () => {
    for (const [userXattr, attribute] of [
      [false, "trusted.overlay.opaque"],
      [true, "user.overlay.opaque"],
    ] as const) {
      await using dir = await tempDir();
      const layer = [directory("d"), whiteout("d/x"), directory("o"), opaque("o"), file("o/f")];
      const { open } = await unpack(dir.path, layer, userXattr);
      expect(lstatSync(join(dir.path, "d/x"))).toMatchObject({ rdev: 0, uid: 0, gid: 0 });
      expect(lstatSync(join(dir.path, "d/x")).isCharacterDevice()).toBe(true);
      expect(xattrCalls().list(join(dir.path, "o"))).toEqual([attribute]);
      expect(Buffer.from(xattrCalls().get(join(dir.path, "o"), attribute) ?? []).toString()).toBe("y");
      expect(open).toEqual({ implied: [""], replay: undefined, marked: ["d", "o"] });
    }
  });

  it("marks and devices that the tar itself brings are left out and counted", async () => {
    await using dir = await tempDir();
    const xattrs = { "trusted.overlay.opaque": Buffer.from("y"), "user.overlay.redirect": Buffer.from("/etc") };
    const layer = [directory("d", { xattrs }), file("d/f", "x", { xattrs }), device("d/w", "char", 0, 0)];
    const { report } = await unpack(dir.path, layer);
    expect(report.skipped).toEqual({ owners: 0, devices: 1, xattrs: 4 });
    expect(xattrCalls().list(join(dir.path, "d"))).toEqual([]);
    expect(xattrCalls().list(join(dir.path, "d/f"))).toEqual([]);
  });
});

describe.skipIf(!canMountOverlays)("what is left open (needs overlay mounts)", () => {
  it("are directories without an entry, parents first, but not where lower layers are hidden", async () => {
    const layer = [file("a/b/c"), directory("d"), file("d/e/f"), opaque("d/o"), file("d/o/p/q")];
    expect(await openOf(layer)).toEqual({
      implied: ["", "a", "a/b", "d/e", "d/o"],
      replay: undefined,
      marked: ["d/o"],
    });
  });

  it("is not the root when it has an entry, wherever", async () => {
    expect((await openOf([file("a"), directory("", { mode: 0o700 }), file("b")])).implied).toEqual([]);
  });

  it("is nothing more once the layer must be applied again, and then it is only read through", async () => {
    await using dir = await tempDir();
    const layer = [file("a", "1"), hardlink("b", "none"), file("c", "12"), directory("d"), whiteout("e")];
    const { open, report, size } = await unpack(dir.path, layer);
    expect(open.replay).toMatch(/hard link to "none"/);
    expect(report).toMatchObject({ entries: 5, files: 2, bytes: 3, directories: 1, links: 1, whiteouts: 1 });
    expect(size).toBe(packTree(layer).length);
    expect(readdirSync(dir.path)).toEqual(["a"]);
  });

  it("is whether a fault is one, where a lower layer may have a link", async () => {
    const faulty = [file("a/f", "1"), hardlink("b", "a")];
    expect((await openOf(faulty)).replay).toMatch(/no file to link to/);
    await using dir = await tempDir();
    const bound = await bindLayers(dir.path, [[symlink("a", "x"), directory("x")], faulty]);
    expect((await readMerged(bound)).map(({ path, linkedTo }) => [path, linkedTo])).toEqual(
      [
        ["", undefined],
        ["a", undefined],
        ["b", undefined],
        ["x", undefined],
        ["x/f", undefined],
      ].map(([path, linkedTo]) => [path, path === "a" || path === "b" ? "a" : linkedTo]),
    );
    await using other = await tempDir();
    await expect(bindLayers(other.path, [[directory("a")], faulty])).rejects.toMatchObject({ code: "LAYER_INVALID" });
  });
});

describe("a layer is refused", () => {
  const refused = async (layer: readonly TreeNode[], options?: UnpackOverlayOptions): Promise<unknown> => {
    await using dir = await tempDir();
    return unpackTar(dir.path, packTree(layer), false, options).catch((error: unknown) => error);
  };

  it.each<[string, TreeNode[]]>([
    ["a member below its own file", [directory("d"), file("d/f"), file("d/f/x")]],
    ["a hard link to a deleted name", [directory("d"), whiteout("d/f"), hardlink("l", "d/f")]],
    ["a hard link to nothing in an opaque directory", [directory("d"), opaque("d"), hardlink("l", "d/f")]],
    ["a deletion of the directory itself", [whiteout("d/.")]],
    ["a loop of links", [symlink("a", "b"), symlink("b", "a"), file("a/x")]],
  ])("%s", async (_, layer) => {
    expect(await refused(layer)).toMatchObject({ code: "LAYER_INVALID" });
  });

  it("when it passes a limit, is not what it should be, or the work was stopped", async () => {
    const layer = [file("a", "1"), file("b", "2")];
    expect(await refused(layer, { limits: { entries: 1 } })).toMatchObject({ code: "LAYER_LIMIT" });
    expect(await refused(layer, { tarLimits: { entries: 1 } })).toMatchObject({ code: "LAYER_LIMIT" });
    expect(await refused(layer, { diffId: digestOf(Buffer.from("x")) })).toMatchObject({ code: "DIFFID_MISMATCH" });
    expect(await refused(layer, { signal: AbortSignal.abort("stop") })).toBe("stop");
  });

  it("where something is already, or where no whiteout could be made", async () => {
    await using dir = await tempDir();
    writeFileSync(join(dir.path, "old"), "");
    await expect(unpack(dir.path, [])).rejects.toMatchObject({ code: "SNAPSHOT_STATE" });
    await expect(unpack(join(dir.path, "none"), [])).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    using _mode = withoutFfi();
    await expect(unpack(dir.path, [])).rejects.toMatchObject({ code: "FFI_UNAVAILABLE" });
  });

  it("and its DiffID is told, in the algorithm that is asked for", async () => {
    await using dir = await tempDir();
    const tar = packTree([file("a", "1")]);
    const { diffId, size } = await unpackTar(dir.path, tar, false, { algorithm: "sha512" });
    expect(diffId).toBe(digestOf(tar, "sha512"));
    expect(size).toBe(tar.length);
  });
});
