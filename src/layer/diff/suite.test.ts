/** The suites that containerd's differ and appliers are held to (`FSSuite`, `TestBaseDiff`, `TestSymlinks` ...), over both kinds of trees. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { mountDir } from "../../../test/kit/mounts/mount-dir.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { runOk } from "../../../test/kit/peers/run.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { diffTrees } from "../../../test/kit/trees/diff-trees.ts";
import { base, FS_SUITE, RELATIVE_SYMLINKS, SYMLINKS } from "../../../test/kit/trees/edit-suites.ts";
import * as edit from "../../../test/kit/trees/edit-tree.ts";
import { readTree } from "../../../test/kit/trees/read-tree.ts";
import { mountAll, unmount } from "../../snapshot/mount-all.ts";
import { AT_FDCWD, atCalls } from "../../sys/at.ts";
import { must } from "../../sys/errno.ts";
import { xattrCalls } from "../../sys/xattr.ts";
import { applyLayer } from "../apply-layer.ts";
import { LayerApplier } from "../apply.ts";
import type { Change } from "./change.ts";
import { changesOfTree, changesOfTrees, changesOfUpper } from "./changes.ts";
import { writeLayerTar } from "./layer-tar.ts";

const { edits, remove } = edit;
const isRoot = process.getuid?.() === 0;
const gnuTar = findPeer("tar");
const exactly = { rootTime: true };

async function applyTo(root: string, changes: AsyncIterable<Change>): Promise<void> {
  using applier = new LayerApplier(root);
  await applyLayer(writeLayerTar(changes), applier);
  applier.finish();
}

/** Does each of the steps to a copy, and its diff to the original. */
async function throughTrees(steps: readonly edit.Edit[]): Promise<string[]> {
  await using dir = await tempDir();
  const original = join(dir.path, "original");
  mkdirSync(original);
  for (const [index, step] of steps.entries()) {
    const copy = join(dir.path, `copy${index}`);
    await edit.copyTree(original, copy);
    await step(copy);
    await applyTo(original, changesOfTrees(original, copy, exactly));
    const differ = diffTrees(await readTree(original), await readTree(copy));
    if (differ.length > 0) return differ;
  }
  return [];
}

/** Does each of the steps through an overlay over all earlier ones, and its diff to a flat tree. */
async function throughOverlays(steps: readonly edit.Edit[]): Promise<string[]> {
  await using dir = await mountDir();
  const place = (name: string): string => {
    mkdirSync(join(dir.path, name));
    return join(dir.path, name);
  };
  const flat = place("flat");
  const layers = [place("empty")];
  for (const [index, step] of steps.entries()) {
    const [upper, work, target, view] = [`u${index}`, `w${index}`, `t${index}`, `v${index}`].map(place) as Paths;
    const lowerdir = `lowerdir=${layers.join(":")}`;
    const options = [lowerdir, `upperdir=${upper}`, `workdir=${work}`, "index=off", "metacopy=off", "redirect_dir=off"];
    if (layers.length > 1) await mountAll([{ type: "overlay", source: "overlay", options: [lowerdir] }], view);
    await mountAll([{ type: "overlay", source: "overlay", options }], target);
    await step(target);
    const lower = layers.length > 1 ? { path: view } : "none";
    await applyTo(flat, changesOfUpper(upper, { lower, userXattr: false, ...exactly }));
    const differ = diffTrees(await readTree(flat), await readTree(target));
    if (differ.length > 0) return differ;
    await unmount(target);
    layers.unshift(upper);
  }
  return [];
}

type Paths = [string, string, string, string];

describe("through trees", () => {
  conforms(throughTrees);
});

describe.skipIf(!isRoot || !canMount())("through overlays (need root and mounts)", () => {
  conforms(throughOverlays);
});

function conforms(through: (steps: readonly edit.Edit[]) => Promise<string[]>): void {
  it.each(Object.entries(FS_SUITE))("FSSuite %s", async (_name, steps) => {
    expect(await through(steps)).toEqual([]);
  });

  it.each(Object.entries(RELATIVE_SYMLINKS))("RelativeSymlinks: %s", async (_name, links) => {
    expect(await through([edits(base, links)])).toEqual([]);
  });

  it.each(SYMLINKS.map((steps, index) => [index, steps] as const))("Symlinks %d", async (_index, steps) => {
    expect(await through(steps)).toEqual([]);
  });

  it("TarWithXattr: values with NULs, none where there was one", async () => {
    const set = (name: string, value: Uint8Array): edit.Edit => {
      return (root) => void xattrCalls().set(join(root, "etc/hosts"), name, value);
    };
    const steps = [base, set("user.kit", Buffer.from("a\0b\0")), set("user.empty", Buffer.alloc(0)), unset];
    expect(await through(steps)).toEqual([]);
  });

  it.skipIf(!isRoot)("access lists, and what a directory gives to its new members (needs root)", async () => {
    const list = (...entries: readonly (readonly [tag: number, permissions: number, id: number])[]): Buffer => {
      const bytes = Buffer.alloc(4 + 8 * entries.length);
      bytes.writeUInt32LE(2);
      for (const [index, [tag, permissions, id]] of entries.entries()) {
        bytes.writeUInt16LE(tag, 4 + 8 * index);
        bytes.writeUInt16LE(permissions, 6 + 8 * index);
        bytes.writeUInt32LE(id, 8 + 8 * index);
      }
      return bytes;
    };
    const [OWNER, USER, GROUP, MASK, OTHER, NOBODY] = [1, 2, 4, 0x10, 0x20, 0xffffffff];
    const acl = list([OWNER, 7, NOBODY], [USER, 6, 1000], [GROUP, 5, NOBODY], [MASK, 7, NOBODY], [OTHER, 0, NOBODY]);
    const give =
      (path: string, kind: "access" | "default"): edit.Edit =>
      (root) =>
        void must(xattrCalls().set(join(root, path), `system.posix_acl_${kind}`, acl), "lsetxattr");
    const steps = [
      edits(base, give("home/derek", "default"), give("etc/hosts", "access")),
      edits(edit.createDir("home/derek/d", 0o750), edit.createFile("home/derek/f", "f", 0o640), give("etc", "default")),
    ];
    expect(await through(steps)).toEqual([]);
  });

  it.skipIf(!isRoot)("BlockCharFifoDeviceRange (needs root)", async () => {
    const make =
      (name: string, type: number, major: number, minor: number): edit.Edit =>
      (root) =>
        void atCalls().mknod(AT_FDCWD, join(root, name), type | 0o600, major, minor);
    const [BLOCK, CHAR, FIFO] = [0o060000, 0o020000, 0o010000];
    const steps = [
      edits(make("b", BLOCK, 8, 1), make("c", CHAR, 0xfff, 0xfffff), make("f", FIFO, 0, 0), make("z", CHAR, 0, 1)),
      edits(remove("b"), make("b", CHAR, 8, 1), remove("c"), make("c", CHAR, 0xfff, 0xffffe), remove("f")),
    ];
    expect(await through(steps)).toEqual([]);
  });
}

function unset(root: string): void {
  xattrCalls().remove(join(root, "etc/hosts"), "user.kit");
}

describe("BaseDiff", () => {
  it.skipIf(gnuTar === undefined)("GNU tar extracts what a tree is", async () => {
    await using dir = await tempDir();
    const [tree, copy] = [join(dir.path, "tree"), join(dir.path, "copy")];
    for (const path of [tree, copy]) mkdirSync(path);
    await base(tree);
    const input = Buffer.concat(await Array.fromAsync(writeLayerTar(changesOfTree(tree, exactly))));
    await runOk(gnuTar ?? "", ["--extract", "--preserve-permissions", "--xattrs", "-C", copy], { input });
    expect(diffTrees(await readTree(tree), await readTree(copy))).toEqual([]);
  });
});
